"""Many connectors at once: those of a user in short, lists, and how many there are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from pymongo import ASCENDING

from server.domains.connectors.connections.documents import connector
from server.domains.connectors.connections.store import (
    CONNECTED_INDEX,
    CONNECTORS,
    COUNTED,
    FAILING_INDEXES,
    LIST_INDEXES,
    NEWEST_FIRST,
)
from server.domains.connectors.model import Connector, ConnectorFilter
from server.storage import paging
from server.storage.counter_spec import Values
from server.storage.counters import Counters
from server.storage.data_loader import DataLoader
from server.storage.driver import Database, Document
from server.storage.mapping import without_nulls

# Of the history, the newest run.
_IN_LISTS = {"syncHistory": {"$slice": 1}, "errors": 0}
_IN_SUMMARIES = {**_IN_LISTS, "sync": 0, "credentials.encryptedToken": 0}
# By platform, status and whether syncs fail.
Counts: TypeAlias = Mapping[tuple[str, str, bool], int]
_ONE_BATCH = 1000  # more than the users of one query have


class ConnectorLists:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connectors = database.collection(CONNECTORS, allow_stale=True)
        self._counters = Counters(database, COUNTED)
        self._summaries = DataLoader(self._summaries_of)

    async def summaries(self, user_id: str) -> list[Connector]:
        """Of a user, in the order they were made, without secrets, errors and all but the newest run."""
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
        filters: Document = {"status": where.status, "platform": where.platform}
        if where.failing:
            filters["failing"] = True
        position = None if token is None else paging.decode(token, filters)
        query = _query(where)
        index = (FAILING_INDEXES if where.failing else LIST_INDEXES)[tuple(query)]

        async def find(part: Document, count: int) -> list[Document]:
            cursor = self._connectors.find(part, _IN_LISTS)
            return await cursor.sort(NEWEST_FIRST).hint(index).limit(count).to_list(None)

        documents = await paging.read(find, query, position, "createdAt", limit)
        none = {**query, "connectionStatus": None}
        # Another tool wrote such ones; none fails, as there is no session.
        if where.status == "disconnected" and not where.failing and await find(none, 1):
            documents += await paging.read(find, none, position, "createdAt", limit)
            documents = sorted(documents, key=_age, reverse=True)[: limit + 1]
        page = [connector(document) for document in documents[:limit]]
        return page, paging.next_token(documents, limit, "createdAt", filters)

    async def count_by_status(self, where: ConnectorFilter) -> Counts:
        """How many connectors there are of each (platform, status, failing), all at one moment."""
        if where.connected_from is None and where.connected_to is None:
            found: Mapping[Values, int] = await self._counters.totals()
        else:
            found = await self._count_connected_within(where)
        counts: Counter[tuple[str, str, bool]] = Counter()
        for (platform, stored, failing), count in found.items():
            status = stored or "disconnected"  # one without was never connected
            if where.platform in {None, platform} and where.status in {None, status}:
                counts[platform, status, failing is True] += count
        return counts

    async def _count_connected_within(self, where: ConnectorFilter) -> Mapping[Values, int]:
        """By platform, stored status and whether syncs fail, from the keys of an index within the dates."""
        bounds = _query(
            ConnectorFilter(connected_from=where.connected_from, connected_to=where.connected_to)
        )
        fields = {name: f"${name}" for name in COUNTED.by}
        rows = await self._database.aggregate(
            self._connectors,
            [{"$match": bounds}, {"$group": {"_id": fields, "n": {"$sum": 1}}}],
            hint=CONNECTED_INDEX,
        )
        counts: Counter[Values] = Counter()
        for row in rows:  # two of a platform if a status is missing in some and null in others
            counts[tuple(row["_id"].get(name) for name in COUNTED.by)] += row["n"]
        return counts


def _age(document: Document) -> tuple[bool, Any, Any]:
    """The order of lists; documents without a time are the oldest."""
    created = document.get("createdAt")
    return created is not None, created, document["_id"]


def _query(where: ConnectorFilter) -> Document:
    bounds = {"$gte": where.connected_from, "$lte": where.connected_to}
    query = {
        "platform": where.platform,
        "connectionStatus": where.status,
        "failing": where.failing or None,
    }
    within = {"connectionDetails.connectedAt": without_nulls(bounds) or None}
    return dict(without_nulls({**query, **within}))
