"""Use cases of the audit trail."""

from collections.abc import AsyncGenerator
from datetime import datetime

from server.core.model import Model
from server.core.pages import PageRequest
from server.storage import paging
from server.storage.audit import AuditTrail
from server.storage.driver import Document
from server.storage.mapping import without_nulls

EXPORT_PAGE = 500


class EventFilter(Model, frozen=True):
    """Which events; None means all. Times are inclusive bounds."""

    user_id: str | None = None
    connector_id: str | None = None
    action: str | None = None
    key: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class AuditService:
    def __init__(self, trail: AuditTrail) -> None:
        self._trail = trail

    async def list(
        self, where: EventFilter, wanted: PageRequest
    ) -> tuple[list[Document], str | None]:
        """One page, newest first, and the token of the next. Raises InvalidRequest for a bad token."""
        query = _query(where)
        filters = {name: str(value) for name, value in query.items()}

        async def find(part: Document, count: int) -> list[Document]:
            # Both at once: they may bound the same field.
            both = {"$and": [query, part]} if query and part else query or part
            return await self._trail.find(both, count)

        return await paging.page(find, {}, wanted, filters, "at")

    async def export(self, user_id: str) -> AsyncGenerator[tuple[str, Document], None]:
        """Each `audit_event` about a user (kernel.UserExporter), newest first.

        Events before the last deletion are about somebody who had the same `userId` before.
        """
        where, token = EventFilter(user_id=user_id), None
        while True:
            wanted = PageRequest(page_token=token, limit=EXPORT_PAGE)
            page, token = await self.list(where, wanted)
            for document in page:
                if document["action"] == "user.deleted":
                    return
                yield "audit_event", document
            if token is None:
                return


def _query(where: EventFilter) -> Document:
    query: Document = {
        "userId": where.user_id,
        "connectorId": where.connector_id.lower() if where.connector_id else None,
        "action": where.action,
        "actor.key": where.key,
    }
    bounds = without_nulls({"$gte": where.since, "$lte": where.until})
    return dict(without_nulls({**query, "at": bounds or None}))
