"""Audit events as the contract's messages; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finlink.audit.v1 import audit_service_pb2 as rpc
from finlink.exports.v1 import export_service_pb2

from server.rpc.times import timestamp


def exported(document: Mapping[str, Any]) -> export_service_pb2.ExportUserResponse:
    """As a piece of the export of its user."""
    return export_service_pb2.ExportUserResponse(audit_event=event(document))


def event(document: Mapping[str, Any]) -> rpc.AuditEvent:
    actor = document["actor"]
    sequence = document.get("sequence")
    return rpc.AuditEvent(
        id=str(document["_id"]),
        at=timestamp(document["at"]),
        action=document["action"],
        user_id=document.get("userId"),
        connector_id=document.get("connectorId"),
        platform=document.get("platform"),
        fields=document.get("fields", []),
        code=document.get("code"),
        actor=rpc.AuditActor(
            kind=actor["kind"],
            address=actor.get("address"),
            key=actor.get("key"),
            certificate=actor.get("certificate"),
            user_agent=actor.get("userAgent"),
            request_id=actor.get("requestId"),
        ),
        sequence=None if sequence is None else str(sequence),
    )
