"""Many connectors at once: those of a user in short, lists, and how many there are."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pymongo import ASCENDING

from server.domains.connectors.connections.documents import connector
from server.domains.connectors.connections.store import (
    CONNECTED_INDEX,
    CONNECTORS,
    COUNTED,
    LIST_INDEXES,
    NEWEST_FIRST,
)
from server.domains.connectors.model import Connector, ConnectorFilter
from server.storage import paging
from server.storage.counters import Counters
from server.storage.data_loader import DataLoader
from server.storage.driver import Database, Document
from server.storage.mapping import without_nulls

_IN_SUMMARIES = {"syncHistory": 0, "errors": 0, "sync": 0, "credentials.encryptedToken": 0}
_ONE_BATCH = 1000  # more than the users of one query have


class ConnectorLists:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connectors = database.collection(CONNECTORS, allow_stale=True)
        self._counters = Counters(database, COUNTED)
        self._summaries = DataLoader(self._summaries_of)

    async def summaries(self, user_id: str) -> list[Connector]:
        """Of a user, in the order they were made, without history, errors and secrets."""
        return await self._summaries.load(user_id) or []

    async def _summaries_of(self, user_ids: Sequence[str]) -> dict[str, list[Connector]]:
        where = {"userId": {"$in": list(user_ids)}}
        cursor = self._connectors.find(where, _IN_SUMMARIES, batch_size=_ONE_BATCH)
        found: dict[str, list[Connector]] = {}
        for document in await cursor.sort("_id", ASCENDING).to_list(None):
            found.setdefault(document["userId"], []).append(connector(document))
        return found

    async def page(
        self, where: ConnectorFilter, token: str | None, limit: int
    ) -> tuple[list[Connector], str | None]:
        """One page, newest first, and the token of the next. Raises InvalidRequest for a bad token."""
        filters = {"status": where.status, "platform": where.platform}
        position = None if token is None else paging.decode(token, filters)
        query = _query(where)
        index = LIST_INDEXES[tuple(query)]

        async def find(part: Document, count: int) -> list[Document]:
            cursor = self._connectors.find(part, {"syncHistory": 0, "errors": 0})
            return await cursor.sort(NEWEST_FIRST).hint(index).limit(count).to_list(None)

        documents = await paging.read(find, query, position, "createdAt", limit)
        none = {**query, "connectionStatus": None}
        if where.status == "disconnected" and await find(none, 1):  # another tool wrote such ones
            documents += await paging.read(find, none, position, "createdAt", limit)
            documents = sorted(documents, key=_age, reverse=True)[: limit + 1]
        page = [connector(document) for document in documents[:limit]]
        return page, paging.next_token(documents, limit, "createdAt", filters)

    async def count_by_status(self, where: ConnectorFilter) -> dict[tuple[str, str], int]:
        """How many connectors there are of each (platform, status), all at one moment."""
        if where.connected_from is None and where.connected_to is None:
            found = await self._counters.totals()
        else:
            found = await self._count_connected_within(where)
        counts: Counter[tuple[str, str]] = Counter()
        for (platform, stored), count in found.items():
            status = stored or "disconnected"  # one without was never connected
            if where.platform in {None, platform} and where.status in {None, status}:
                counts[platform, status] += count
        return counts

    async def _count_connected_within(
        self, where: ConnectorFilter
    ) -> dict[tuple[str, str | None], int]:
        """By platform and stored status. It reads keys of an index only, those within the dates."""
        bounds = _query(ConnectorFilter(None, None, where.connected_from, where.connected_to))
        fields = {"platform": "$platform", "status": "$connectionStatus"}
        rows = await self._database.aggregate(
            self._connectors,
            [{"$match": bounds}, {"$group": {"_id": fields, "n": {"$sum": 1}}}],
            hint=CONNECTED_INDEX,
        )
        counts: Counter[tuple[str, str | None]] = Counter()
        for row in rows:  # two of a platform if a status is missing in some and null in others
            counts[row["_id"]["platform"], row["_id"].get("status")] += row["n"]
        return counts


def _age(document: Document) -> tuple[bool, Any, Any]:
    """The order of lists; documents without a time are the oldest."""
    created = document.get("createdAt")
    return created is not None, created, document["_id"]


def _query(where: ConnectorFilter) -> Document:
    bounds = {"$gte": where.connected_from, "$lte": where.connected_to}
    query = {"platform": where.platform, "connectionStatus": where.status}
    within = {"connectionDetails.connectedAt": without_nulls(bounds) or None}
    return dict(without_nulls({**query, **within}))
