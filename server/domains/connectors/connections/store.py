"""Single connectors, and the changes of their connection."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from bson import ObjectId
from finlink_words import CONNECTION_STATUSES, PLATFORMS
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from server.core.clock import utc_now
from server.domains.connectors.connections import expressions as x
from server.domains.connectors.connections.documents import connector
from server.domains.connectors.connections.session_fields import (
    NO_SYNCS,
    SealedSession,
    session_begun,
    session_ended,
    session_opened,
)
from server.domains.connectors.errors import AlreadyConnected
from server.domains.connectors.model import (
    CANCELLED,
    DEFAULT_INTERVAL,
    LIVE,
    Connector,
    ConnectRequest,
    ErrorEntry,
    HistoryEntry,
)
from server.jobs.queue import JobKind
from server.storage.cache_feed import Followed
from server.storage.counter_spec import COUNTED_AS, CounterSpec
from server.storage.counters import Counters
from server.storage.driver import ClientSession, Database, Document
from server.storage.updates import change

CONNECTORS = "connectors"
# Of each list, by the fields it is filtered by.
LIST_INDEXES: Mapping[tuple[str, ...], str] = {
    (): "createdAt_-1__id_-1",
    ("platform",): "platform_1_createdAt_-1__id_-1",
    ("connectionStatus",): "connectionStatus_1_createdAt_-1__id_-1",
    ("platform", "connectionStatus"): "platform_1_connectionStatus_1_createdAt_-1__id_-1",
}
# The same of connectors that fail: they have no other, so where all is well these are empty.
FAILING_INDEXES: Mapping[tuple[str, ...], str] = {
    (*fields, "failing"): f"failing_{name}" for fields, name in LIST_INDEXES.items()
}
CONNECTED_INDEX = "connectedAt_platform_status_failing"
RETIRED = {CONNECTORS: ["tally", "connectionDetails.connectedAt_1_platform_1_connectionStatus_1"]}
_SESSION_ENDED = "The session ended before the run did"
_USER_NOT_ACTIVE = "The user is no longer active"
# Replies from the cache show summaries.
FOLLOWED = Followed(
    CONNECTORS,
    ignored=[
        "sync", "session", "errors", "updatedAt", "connectionDetails.nextSyncAt",
        "credentials.encryptedToken", COUNTED_AS,
    ],
)  # fmt: skip
# A long history takes longer to read than all else that a run needs.
SYNC_JOBS = JobKind(
    CONNECTORS,
    due="sync.dueAt",
    leased="sync.run.startedAt",
    fence="sync.fence",
    lease=timedelta(seconds=15),
    where={"connectionStatus": {"$in": LIVE}},
    projection={"syncHistory": {"$slice": 1}, "errors": 0},
)
NEWEST_FIRST = [("createdAt", DESCENDING), ("_id", DESCENDING)]
COUNTED = CounterSpec(
    CONNECTORS,
    {"platform": PLATFORMS, "connectionStatus": (*CONNECTION_STATUSES, None)},
    flags=["failing"],
)

INDEXES: Mapping[str, Sequence[IndexModel]] = {
    CONNECTORS: [
        *SYNC_JOBS.indexes,
        COUNTED.index,
        IndexModel([("userId", ASCENDING), ("platform", ASCENDING)], unique=True),
        IndexModel("sessionId", unique=True, sparse=True),
        IndexModel("session.checkAt", sparse=True),
        *(
            IndexModel([(field, ASCENDING) for field in fields] + NEWEST_FIRST, name=name)
            for fields, name in LIST_INDEXES.items()
        ),
        *(
            IndexModel(
                [(field, ASCENDING) for field in fields] + NEWEST_FIRST,
                name=name,
                partialFilterExpression={"failing": True},
            )
            for fields, name in FAILING_INDEXES.items()
        ),
        IndexModel(
            [
                ("connectionDetails.connectedAt", ASCENDING),
                ("platform", ASCENDING),
                ("connectionStatus", ASCENDING),
                ("failing", ASCENDING),
            ],
            name=CONNECTED_INDEX,
        ),
    ]
}


class ConnectorStore:
    """Reads and changes connectors one by one. Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connectors = database.collection(CONNECTORS, allow_stale=True)
        self._counters = Counters(database, COUNTED)

    # Reads

    async def get(
        self, connector_id: str, session: ClientSession | None = None
    ) -> Connector | None:
        return _maybe(
            await self._connectors.find_one({"_id": ObjectId(connector_id)}, session=session)
        )

    async def user_of(self, connector_id: str) -> str | None:
        """The `userId` that it belongs to; None if there is no such connector."""
        document = await self._connectors.find_one({"_id": ObjectId(connector_id)}, {"userId": 1})
        return str(document["userId"]) if document else None

    async def refreshed_within(self, connector_id: str, time: timedelta) -> Connector | None:
        """A live connector whose session was refreshed no longer ago than `time`."""
        where = {
            "_id": ObjectId(connector_id),
            "connectionStatus": {"$in": LIVE},
            "session.refreshedAt": {"$gt": utc_now() - time},
        }
        return _maybe(await self._connectors.find_one(where))

    async def find(self, user_id: str, platform: str) -> Connector | None:
        return _maybe(await self._connectors.find_one({"userId": user_id, "platform": platform}))

    async def of_user(self, user_id: str, session: ClientSession | None = None) -> list[Connector]:
        """In the order they were made."""
        cursor = self._connectors.find({"userId": user_id}, session=session).sort("_id", ASCENDING)
        return [connector(document) for document in await cursor.to_list(None)]

    # Changes of the connection

    async def connect(
        self,
        wanted: ConnectRequest,
        sealed: SealedSession,
        sync_id: str,
        session: ClientSession,
        *,
        paused: bool,
    ) -> Connector:
        """Make or restart the user's connector with a new session, its first sync wanted at once.

        Raises AlreadyConnected where it is connected already.
        """
        now = utc_now()
        begun = session_begun(sealed, sync_id, now)
        fields: Document = {**begun, "session.refreshedAt": "$$REMOVE"}
        return await self._upsert(wanted, fields, session, now, paused=paused)

    async def await_login(
        self, wanted: ConnectRequest, sealed_login: str, session: ClientSession, *, paused: bool
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
        return await self._upsert(wanted, fields, session, utc_now(), paused=paused)

    async def _upsert(
        self,
        wanted: ConnectRequest,
        fields: Document,
        session: ClientSession,
        now: datetime,
        *,
        paused: bool,
    ) -> Connector:
        """`fields` may refer to what is set before: the defaults, permissions and `paused`."""
        before: Document = {
            "metadata.permissions": list(wanted.permissions),
            "metadata.dataTypes": list(wanted.permissions),
            "sync.paused": paused,
            "createdAt": {"$ifNull": ["$createdAt", now]},
            "connectionDetails.syncInterval": {
                "$ifNull": ["$connectionDetails.syncInterval", DEFAULT_INTERVAL]
            },
            "syncHistory": {"$ifNull": ["$syncHistory", []]},
            "errors": {"$ifNull": ["$errors", []]},
            "sync.auto": {"$ifNull": ["$sync.auto", True]},
        }
        try:
            document = await change(
                self._connectors,
                {
                    "userId": wanted.user_id,
                    "platform": wanted.platform,
                    "connectionStatus": {"$in": ["disconnected", "expired", None]},
                },
                before,
                {**fields, **_changed()},
                session=session,
                upsert=True,
            )
        except DuplicateKeyError:
            raise AlreadyConnected from None
        return connector(cast("Document", document))  # an upsert always gives one

    async def set_login(
        self, before: Connector, sealed_login: str, session: ClientSession | None = None
    ) -> Connector | None:
        """Keep a login that is pending; None where the session changed meanwhile."""
        fields = {"credentials.encryptedLogin": sealed_login}
        return await self._change(before, fields, session)

    async def renew_session(
        self, before: Connector, sealed: SealedSession, session: ClientSession | None = None
    ) -> Connector | None:
        """Store a session that goes on under new secrets; None where it changed meanwhile."""
        fields = {**session_opened(sealed), "session.refreshedAt": utc_now()}
        return await self._change(before, fields, session)

    async def begin_session(
        self,
        before: Connector,
        sealed: SealedSession,
        sync_id: str,
        session: ClientSession | None = None,
    ) -> Connector | None:
        """Store a session that begins, its first sync wanted at once; None where it changed meanwhile."""
        now = utc_now()
        fields = {**session_begun(sealed, sync_id, now), "session.refreshedAt": now}
        return await self._change(before, fields, session)

    async def end_session(
        self,
        before: Connector,
        status: str,
        session: ClientSession | None = None,
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
        return await self._change(before, fields, session)

    async def leave_records(self, before: Connector, session: ClientSession) -> Connector | None:
        """Keep records under another id from now on; None where the session changed meanwhile."""
        fields = {"recordsErased": x.plus_one("recordsErased")}
        return await self._change(before, fields, session)

    async def expire(
        self,
        claimed: Connector,
        where: Document,
        entry: HistoryEntry,
        error: ErrorEntry,
        session: ClientSession | None = None,
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
        return await self._change(claimed, fields, session, where)

    async def set_active(self, user_id: str, active: bool, session: ClientSession) -> None:
        """Let a user's connectors sync at once, or stop their syncs, runs under way included."""
        now = utc_now()
        stage: Document = {"sync.paused": not active, "updatedAt": now}
        if active:
            # Only what stood still: making an active user active again changes nothing.
            idle = {"$and": [x.IS_PAUSED, x.IS_LIVE, {"$not": [x.HAS_RUN]}]}
            goes_on = {"$and": [idle, {"$ne": ["$sync.auto", False]}]}
            for path in ("sync.dueAt", "connectionDetails.nextSyncAt"):
                stage[path] = x.when(goes_on, now, {"$ifNull": [f"${path}", "$$REMOVE"]})
        else:
            stage |= {
                **x.count_run_if(x.HAS_RUN, x.broken_off(CANCELLED, _USER_NOT_ACTIVE)),
                **NO_SYNCS,
                "sync.fence": x.plus_one("sync.fence"),
            }
        await self._connectors.update_many({"userId": user_id}, [{"$set": stage}], session=session)

    async def delete_of_user(self, user_id: str, session: ClientSession) -> list[str]:
        """Remove all connectors of a user; gives the ids that their records are kept under."""
        documents = await self._connectors.find({"userId": user_id}, session=session).to_list(None)
        await self._connectors.delete_many({"userId": user_id}, session=session)
        await self._counters.leave(documents, session)
        return [connector(document).records_id for document in documents]

    async def _change(
        self,
        before: Connector,
        fields: Document,
        session: ClientSession | None,
        where: Document | None = None,
    ) -> Connector | None:
        """Change the session of a connector, unless it has changed since."""
        same = {"session.generation": before.session.generation or {"$in": [0, None]}}
        query = {"_id": ObjectId(before.id), **same, **(where or {})}
        changed = await change(self._connectors, query, {**fields, **_changed()}, session=session)
        return _maybe(changed)


def _changed() -> Document:
    return {"session.generation": x.plus_one("session.generation"), "updatedAt": utc_now()}


def _maybe(document: Mapping[str, Any] | None) -> Connector | None:
    return connector(document) if document else None
