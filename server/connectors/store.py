"""Reads of connectors, and the changes of their connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.connectors import expressions as x
from server.connectors.documents import connector
from server.connectors.errors import AlreadyConnected
from server.connectors.model import (
    CANCELLED,
    DEFAULT_INTERVAL,
    LIVE,
    PLATFORMS,
    STATUSES,
    Connector,
    ConnectorFilter,
    ErrorEntry,
    HistoryEntry,
)
from server.connectors.session_fields import (
    NO_SYNCS,
    Connected,
    session_begun,
    session_ended,
    session_held,
)
from server.storage import paging
from server.storage.cache_feed import Followed
from server.storage.coalescing import Coalesced
from server.storage.driver import Database, Document, Session
from server.storage.tallies import TALLIED, Tallies, Tally

CONNECTORS = "connectors"
DUE_INDEX = "sync.dueAt_1"
CLAIMED_INDEX = "sync.dueAt_1_claimed"
# Of each list, by the fields it is filtered by.
_LIST_INDEXES: Mapping[tuple[str, ...], str] = {
    (): "createdAt_-1__id_-1",
    ("platform",): "platform_1_createdAt_-1__id_-1",
    ("connectionStatus",): "connectionStatus_1_createdAt_-1__id_-1",
    ("platform", "connectionStatus"): "platform_1_connectionStatus_1_createdAt_-1__id_-1",
}
CONNECTED_INDEX = "connectionDetails.connectedAt_1_platform_1_connectionStatus_1"
_SESSION_ENDED = "The session ended before the run did"
_USER_NOT_ACTIVE = "The user is no longer active"
# What answers from the cache show are summaries.
FOLLOWED = Followed(
    CONNECTORS,
    unseen=[
        "sync", "session", "syncHistory", "errors", "updatedAt", "connectionDetails.nextSyncAt",
        "credentials.encryptedToken", "credentials.encryptedLogin", TALLIED,
    ],
)  # fmt: skip
_IN_SUMMARIES = {"syncHistory": 0, "errors": 0, "sync": 0, "credentials.encryptedToken": 0}
_ONE_BATCH = 1000  # more than the users of one query have
_NEWEST_FIRST = [("createdAt", DESCENDING), ("_id", DESCENDING)]
TALLY = Tally(CONNECTORS, {"platform": PLATFORMS, "connectionStatus": (*STATUSES, None)})

INDEXES: Mapping[str, Sequence[IndexModel]] = {
    CONNECTORS: [
        TALLY.index,
        IndexModel([("userId", ASCENDING), ("platform", ASCENDING)], unique=True),
        IndexModel("sessionId", unique=True, sparse=True),
        IndexModel("sync.dueAt", name=DUE_INDEX, sparse=True),
        IndexModel(
            "sync.dueAt",
            name=CLAIMED_INDEX,
            partialFilterExpression={"sync.run.startedAt": {"$exists": True}},
        ),
        IndexModel("session.checkAt", sparse=True),
        *(
            IndexModel([(field, ASCENDING) for field in fields] + _NEWEST_FIRST, name=name)
            for fields, name in _LIST_INDEXES.items()
        ),
        IndexModel(
            [
                ("connectionDetails.connectedAt", ASCENDING),
                ("platform", ASCENDING),
                ("connectionStatus", ASCENDING),
            ],
            name=CONNECTED_INDEX,
        ),
    ]
}


class ConnectorStore:
    """Reads and writes connectors. Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connectors = database.collection(CONNECTORS, elsewhere=True)
        self._tallies = Tallies(database, TALLY)
        self._summaries = Coalesced(self._summaries_of)

    # Reads

    async def get(self, connector_id: str, session: Session | None = None) -> Connector | None:
        return _maybe(
            await self._connectors.find_one({"_id": ObjectId(connector_id)}, session=session)
        )

    async def refreshed_within(self, connector_id: str, time: timedelta) -> Connector | None:
        """A live connector whose session was refreshed no longer ago than `time`."""
        ago = {"$subtract": [x.NOW, time // timedelta(milliseconds=1)]}
        where = {
            "_id": ObjectId(connector_id),
            "connectionStatus": {"$in": LIVE},
            "$expr": {"$gt": ["$session.refreshedAt", ago]},
        }
        return _maybe(await self._connectors.find_one(where))

    async def find(self, user_id: str, platform: str) -> Connector | None:
        return _maybe(await self._connectors.find_one({"userId": user_id, "platform": platform}))

    async def of_user(self, user_id: str, session: Session | None = None) -> list[Connector]:
        """In the order they were made."""
        cursor = self._connectors.find({"userId": user_id}, session=session).sort("_id", ASCENDING)
        return [connector(document) for document in await cursor.to_list(None)]

    async def summaries(self, user_id: str) -> list[Connector]:
        """The same, without what summaries do not show: history, errors, secrets."""
        return await self._summaries.get(user_id) or []

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
        index = _LIST_INDEXES[tuple(query)]

        async def find(part: Document, count: int) -> list[Document]:
            cursor = self._connectors.find(part, {"syncHistory": 0, "errors": 0})
            return await cursor.sort(_NEWEST_FIRST).hint(index).limit(count).to_list(None)

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
            found = await self._tallies.totals()
        else:
            found = await self._count_connected_within(where)
        counts: dict[tuple[str, str], int] = {}
        for (platform, stored), count in found.items():
            status = stored or "disconnected"  # one without was never connected
            if where.platform in {None, platform} and where.status in {None, status}:
                counts[platform, status] = counts.get((platform, status), 0) + count
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
        counts: dict[tuple[str, str | None], int] = {}
        for row in rows:
            key = (row["_id"]["platform"], row["_id"].get("status"))
            counts[key] = counts.get(key, 0) + row["n"]
        return counts

    # Changes of the connection

    async def connect(
        self,
        user_id: str,
        platform: str,
        permissions: Sequence[str],
        connected: Connected,
        sync_id: str,
        *,
        paused: bool,
        session: Session,
    ) -> Connector:
        """Make or restart the user's connector with a new session, its first sync wanted at once.

        Raises AlreadyConnected where it is connected already.
        """
        fields: Document = {**session_begun(connected, sync_id), "session.refreshedAt": "$$REMOVE"}
        return await self._upsert(
            user_id, platform, permissions, fields, paused=paused, session=session
        )

    async def await_login(
        self,
        user_id: str,
        platform: str,
        permissions: Sequence[str],
        sealed_login: str,
        *,
        paused: bool,
        session: Session,
    ) -> Connector:
        """Make or restart the user's connector with a login pending. Raises AlreadyConnected."""
        fields: Document = {
            "connectionStatus": "disconnected",
            "credentials.encryptedLogin": sealed_login,
            "credentials.encryptedToken": "$$REMOVE",
            "credentials.tokenExpiresAt": "$$REMOVE",
            "metadata.platformUserId": "$$REMOVE",  # it may become another account
            "metadata.accountType": "$$REMOVE",
            "sessionId": "$$REMOVE",
        }
        return await self._upsert(
            user_id, platform, permissions, fields, paused=paused, session=session
        )

    async def _upsert(
        self,
        user_id: str,
        platform: str,
        permissions: Sequence[str],
        fields: Document,
        *,
        paused: bool,
        session: Session,
    ) -> Connector:
        """`fields` may refer to what holds before: the defaults, permissions and `paused`."""
        before: Document = {
            "metadata.permissions": list(permissions),
            "metadata.dataTypes": list(permissions),
            "sync.paused": paused,
            "createdAt": {"$ifNull": ["$createdAt", x.NOW]},
            "connectionDetails.syncInterval": {
                "$ifNull": ["$connectionDetails.syncInterval", DEFAULT_INTERVAL]
            },
            "syncHistory": {"$ifNull": ["$syncHistory", []]},
            "errors": {"$ifNull": ["$errors", []]},
            "sync.auto": {"$ifNull": ["$sync.auto", True]},
        }
        try:
            document = await self._connectors.find_one_and_update(
                {
                    "userId": user_id,
                    "platform": platform,
                    "connectionStatus": {"$in": ["disconnected", "expired", None]},
                },
                [
                    {"$set": before},
                    {
                        "$set": {
                            **fields,
                            "session.generation": x.plus_one("session.generation"),
                            "updatedAt": x.NOW,
                        }
                    },
                ],
                upsert=True,
                return_document=ReturnDocument.AFTER,
                session=session,
            )
        except DuplicateKeyError:
            raise AlreadyConnected from None
        return connector(cast("Document", document))  # an upsert always gives one

    async def set_login(
        self, connector_id: str, generation: int, sealed_login: str, session: Session | None = None
    ) -> Connector | None:
        """Keep a login that is pending; None where the session changed meanwhile."""
        fields = {"credentials.encryptedLogin": sealed_login}
        return await self._change(connector_id, generation, fields, session)

    async def renew_session(
        self,
        connector_id: str,
        generation: int,
        connected: Connected,
        session: Session | None = None,
    ) -> Connector | None:
        """Store a session that goes on under new secrets; None where it changed meanwhile."""
        fields = {**session_held(connected), "session.refreshedAt": x.NOW}
        return await self._change(connector_id, generation, fields, session)

    async def begin_session(
        self,
        connector_id: str,
        generation: int,
        connected: Connected,
        sync_id: str,
        session: Session | None = None,
    ) -> Connector | None:
        """Store a session that begins, its first sync wanted at once; None where it changed meanwhile."""
        fields = {**session_begun(connected, sync_id), "session.refreshedAt": x.NOW}
        return await self._change(connector_id, generation, fields, session)

    async def end_session(
        self,
        before: Connector,
        status: str,
        session: Session | None = None,
        *,
        error: ErrorEntry | None = None,
    ) -> Connector | None:
        """End a connector's session as `disconnected` or `expired`, and with it all syncing.

        A run that is wanted or under way goes into the history as cancelled. None where the session
        changed meanwhile.
        """
        fields = {
            **x.count_run_if(x.HAS_RUN, x.broken_off(CANCELLED, _SESSION_ENDED)),
            **session_ended(status),
            **(x.add_error(error) if error else {}),
        }
        return await self._change(before.id, before.generation, fields, session)

    async def leave_records(self, before: Connector, session: Session) -> Connector | None:
        """Keep records under another id from now on; None where the session changed meanwhile."""
        fields = {"recordsErased": x.plus_one("recordsErased")}
        return await self._change(before.id, before.generation, fields, session)

    async def expire(
        self,
        claimed: Connector,
        where: Document,
        entry: HistoryEntry,
        error: ErrorEntry,
        session: Session | None = None,
    ) -> Connector | None:
        """End a session whose run found it over; `entry` is how that run ends.

        `where` is the filter for that run being under way. None where run or session changed
        meanwhile.
        """
        fields = {
            **x.count_run(x.history_entry(entry), entry.status),
            **session_ended("expired"),
            **x.add_error(error),
        }
        if entry.status != "failed":
            fields["connectionDetails.lastSyncAt"] = entry.synced_at
        return await self._change(claimed.id, claimed.generation, fields, session, where=where)

    async def set_active(self, user_id: str, active: bool, session: Session) -> None:
        """Let a user's connectors sync at once, or stop their syncs, runs under way included."""
        stage: Document = {"sync.paused": not active, "updatedAt": x.NOW}
        if active:
            # Only what stood still: making an active user active again changes nothing.
            idle = {"$and": [x.IS_PAUSED, x.IS_LIVE, {"$not": [x.HAS_RUN]}]}
            goes_on = {"$and": [idle, {"$ne": ["$sync.auto", False]}]}
            for path in ("sync.dueAt", "connectionDetails.nextSyncAt"):
                stage[path] = x.when(goes_on, x.NOW, {"$ifNull": [f"${path}", "$$REMOVE"]})
        else:
            stage |= {
                **x.count_run_if(x.HAS_RUN, x.broken_off(CANCELLED, _USER_NOT_ACTIVE)),
                **NO_SYNCS,
                "sync.fence": x.plus_one("sync.fence"),
            }
        await self._connectors.update_many({"userId": user_id}, [{"$set": stage}], session=session)

    async def delete_of_user(self, user_id: str, session: Session) -> list[str]:
        """Remove all connectors of a user; gives the ids that their records are kept under."""
        documents = await self._connectors.find({"userId": user_id}, session=session).to_list(None)
        await self._connectors.delete_many({"userId": user_id}, session=session)
        await self._tallies.leave(documents, session)
        return [connector(document).records_id for document in documents]

    async def _change(
        self,
        connector_id: str,
        generation: int,
        fields: Document,
        session: Session | None,
        where: Document | None = None,
    ) -> Connector | None:
        """Change the session of a connector, unless it has changed since `generation`."""
        same = {"session.generation": generation or {"$in": [0, None]}}
        document = await self._connectors.find_one_and_update(
            {"_id": ObjectId(connector_id), **same, **(where or {})},
            [
                {
                    "$set": {
                        **fields,
                        "session.generation": x.plus_one("session.generation"),
                        "updatedAt": x.NOW,
                    }
                }
            ],
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        return _maybe(document)


def _age(document: Document) -> tuple[bool, Any, Any]:
    """What lists are ordered by; documents without a time are the oldest."""
    created = document.get("createdAt")
    return created is not None, created, document["_id"]


def _query(where: ConnectorFilter) -> Document:
    query: Document = {}
    if where.platform is not None:
        query["platform"] = where.platform
    if where.status is not None:
        query["connectionStatus"] = where.status
    bounds: Document = {}
    if where.connected_from is not None:
        bounds["$gte"] = where.connected_from
    if where.connected_to is not None:
        bounds["$lte"] = where.connected_to
    if bounds:
        query["connectionDetails.connectedAt"] = bounds
    return query


def _maybe(document: Mapping[str, Any] | None) -> Connector | None:
    return connector(document) if document else None
