"""The RPCs of finlink.audit.v1.AuditService."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finlink.audit.v1 import audit_service_pb2 as rpc
from finlink.audit.v1 import audit_service_pb2_grpc

from server.audit.service import AuditService, EventFilter
from server.rpc.call import Context
from server.rpc.times import date_bounds, timestamp


class AuditServicer(audit_service_pb2_grpc.AuditServiceServicer):
    def __init__(self, service: AuditService) -> None:
        self._service = service

    async def ListAuditEvents(
        self, request: rpc.ListAuditEventsRequest, context: Context
    ) -> rpc.ListAuditEventsResponse:
        def sent(name: str) -> Any:
            return getattr(request, name) if request.HasField(name) else None  # type: ignore[arg-type]

        since, until = date_bounds(sent("from_date"), sent("to_date"))
        where = EventFilter(
            sent("user_id"), sent("connector_id"), sent("action"), sent("key"), since, until
        )
        page, token = await self._service.list(where, sent("page_token"), sent("limit"))
        data = rpc.ListAuditEventsData(
            events=map(_event, page), pagination=rpc.AuditPagination(next_page_token=token)
        )
        return rpc.ListAuditEventsResponse(data=data)


def _event(document: Mapping[str, Any]) -> rpc.AuditEvent:
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
