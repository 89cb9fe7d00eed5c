"""The RPCs of finlink.audit.v1.AuditService."""

from finlink.audit.v1 import audit_service_pb2 as rpc
from finlink.audit.v1 import audit_service_pb2_grpc
from finlink.exports.v1 import export_service_pb2
from finlink.types.v1 import pagination_pb2

from server.core.pages import PageRequest
from server.domains.audit import convert
from server.domains.audit.service import AuditService, EventFilter
from server.rpc.call import Context, current_call
from server.rpc.fields import to_model
from server.rpc.times import date_bounds
from server.storage.driver import Document


def exported(document: Document) -> export_service_pb2.ExportUserResponse:
    """An event as the current call exports it."""
    user = current_call().principal.user
    return convert.exported(document, user.user_id if user else None)


class AuditServicer(audit_service_pb2_grpc.AuditServiceServicer):
    def __init__(self, service: AuditService) -> None:
        self._service = service

    async def ListAuditEvents(
        self, request: rpc.ListAuditEventsRequest, context: Context
    ) -> rpc.ListAuditEventsResponse:
        since, until = date_bounds(request.from_date, request.to_date)
        where = to_model(EventFilter, request, since=since, until=until)
        page, token = await self._service.list(where, to_model(PageRequest, request))
        data = rpc.ListAuditEventsData(
            events=map(convert.event, page),
            pagination=pagination_pb2.Pagination(next_page_token=token),
        )
        return rpc.ListAuditEventsResponse(data=data)
