"""Audit events as the contract's messages, by the names of their fields; pure."""

from collections.abc import Mapping
from typing import Any

from finlink.audit.v1 import audit_service_pb2 as rpc
from finlink.exports.v1 import export_service_pb2

from server.rpc.fields import from_document


def exported(
    document: Mapping[str, Any], owner: str | None
) -> export_service_pb2.ExportUserResponse:
    """`owner` is the user who calls, if it is a user: an export of one's own names nobody else."""
    if owner is not None and owner == document.get("userId"):
        document = _without_others(document, owner)
    return export_service_pb2.ExportUserResponse(audit_event=event(document))


def _without_others(document: Mapping[str, Any], owner: str) -> Mapping[str, Any]:
    """Of an actor who is not the owner alone only the kind is left."""
    actor = document["actor"]
    if actor.get("userId") == owner and not actor.keys() & {"key", "onBehalfOf"}:
        return document
    return {**document, "actor": {"kind": actor["kind"]}}


def event(document: Mapping[str, Any]) -> rpc.AuditEvent:
    sequence = document.get("sequence")
    named = {**document, "sequence": None if sequence is None else str(sequence)}
    return from_document(rpc.AuditEvent, named, id=str(document["_id"]))
