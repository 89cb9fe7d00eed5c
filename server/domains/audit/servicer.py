"""The RPCs of finlink.audit.v1.AuditService."""

from typing import Any

from finlink.audit.v1 import audit_service_pb2 as rpc
from finlink.audit.v1 import audit_service_pb2_grpc
from finlink.types.v1 import pagination_pb2

from server.domains.audit import convert
from server.domains.audit.service import AuditService, EventFilter
from server.rpc.call import Context
from server.rpc.times import date_bounds


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
            events=map(convert.event, page),
            pagination=pagination_pb2.Pagination(next_page_token=token),
        )
        return rpc.ListAuditEventsResponse(data=data)
