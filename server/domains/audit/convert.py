"""Audit events as the contract's messages, by the names of their fields; pure."""

from collections.abc import Mapping
from typing import Any

from finlink.audit.v1 import audit_service_pb2 as rpc
from finlink.exports.v1 import export_service_pb2

from server.rpc.fields import from_document


def exported(document: Mapping[str, Any]) -> export_service_pb2.ExportUserResponse:
    return export_service_pb2.ExportUserResponse(audit_event=event(document))


def event(document: Mapping[str, Any]) -> rpc.AuditEvent:
    sequence = document.get("sequence")
    named = {**document, "sequence": None if sequence is None else str(sequence)}
    return from_document(rpc.AuditEvent, named, id=str(document["_id"]))
