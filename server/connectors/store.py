"""Reads of connectors, and the changes of their connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.clock import utc_now
from server.connectors.documents import connector, count_run, push_error, run_document
from server.connectors.errors import AlreadyConnected
from server.connectors.model import (
    DEFAULT_INTERVAL,
    Connector,
    ConnectorFilter,
    ErrorEntry,
    HistoryEntry,
    Run,
    whole_minutes,
)
from server.storage import paging
from server.storage.driver import Database, Document, Session

CONNECTORS = "connectors"
_NEWEST_FIRST = [("createdAt", DESCENDING), ("_id", DESCENDING)]

INDEXES: Mapping[str, Sequence[IndexModel]] = {
    CONNECTORS: [
        IndexModel([("userId", ASCENDING), ("platform", ASCENDING)], unique=True),
        IndexModel("sessionId", unique=True, sparse=True),
        IndexModel("sync.dueAt", sparse=True),
        IndexModel(_NEWEST_FIRST),
        IndexModel([("connectionStatus", ASCENDING), *_NEWEST_FIRST]),
        IndexModel([("platform", ASCENDING), ("connectionStatus", ASCENDING), *_NEWEST_FIRST]),
        IndexModel(
            [
                ("connectionDetails.connectedAt", ASCENDING),
                ("platform", ASCENDING),
                ("connectionStatus", ASCENDING),
            ]
        ),
    ]
}


@dataclass(frozen=True, slots=True)
class Connected:
    """A session as it is stored with a connector."""

    session_id: str
    sealed_session: str
    expires_at: datetime
    platform_user_id: str
    account_type: str


class ConnectorStore:
    """Reads and writes connectors. Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connectors = database.collection(CONNECTORS)

    # Reads

    async def get(self, connector_id: str, session: Session | None = None) -> Connector | None:
        return _maybe(
            await self._connectors.find_one({"_id": ObjectId(connector_id)}, session=session)
        )

    async def find(self, user_id: str, platform: str) -> Connector | None:
        return _maybe(await self._connectors.find_one({"userId": user_id, "platform": platform}))

    async def of_user(self, user_id: str, session: Session | None = None) -> list[Connector]:
        """In the order they were made."""
        cursor = self._connectors.find({"userId": user_id}, session=session).sort("_id", ASCENDING)
        return [connector(document) for document in await cursor.to_list(None)]

    async def page(
        self, where: ConnectorFilter, token: str | None, limit: int
    ) -> tuple[list[Connector], str | None]:
        """One page, newest first, and the token of the next. Raises InvalidRequest for a bad token."""
        filters = {"status": where.status, "platform": where.platform}
        position = None if token is None else paging.decode(token, filters)

        async def find(part: Document, count: int) -> list[Document]:
            cursor = self._connectors.find(part, {"syncHistory": 0, "errors": 0})
            return await cursor.sort(_NEWEST_FIRST).limit(count).to_list(None)

        documents = await paging.read(find, _query(where), position, "createdAt", limit)
        page = [connector(document) for document in documents[:limit]]
        return page, paging.next_token(documents, limit, "createdAt", filters)

    async def count_by_status(self, where: ConnectorFilter) -> dict[tuple[str, str], int]:
        """How many connectors there are of each (platform, status)."""
        group = {"_id": {"platform": "$platform", "status": "$connectionStatus"}, "n": {"$sum": 1}}
        rows = await self._database.aggregate(
            self._connectors, [{"$match": _query(where)}, {"$group": group}]
        )
        return {(row["_id"]["platform"], row["_id"]["status"]): row["n"] for row in rows}

    # Changes of the connection

    async def connect(
        self,
        user_id: str,
        platform: str,
        permissions: Sequence[str],
        connected: Connected,
        run: Run | None,
        *,
        paused: bool,
        session: Session,
    ) -> Connector:
        """Make or restart the user's connector with a new session, `run` being its first sync.

        Raises AlreadyConnected where it is connected already.
        """
        now = utc_now()
        changes: Document = {
            "connectionStatus": "connected",
            "connectionDetails.connectedAt": now,
            "connectionDetails.nextSyncAt": now,
            "sync.paused": paused,
            "sync.failures": 0,
            **_session_changes(connected),
            **_permission_changes(permissions),
        }
        if run is not None:
            changes |= {"sync.run": run_document(run), "sync.dueAt": now}
        removed = (
            "connectionDetails.disconnectedAt",
            "connectionDetails.sessionDuration",
            "session.refreshedAt",
            "credentials.encryptedLogin",
        )
        return await self._upsert(user_id, platform, changes, removed, session)

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
        changes = {
            "connectionStatus": "disconnected",
            "credentials.encryptedLogin": sealed_login,
            "sync.paused": paused,
            **_permission_changes(permissions),
        }
        removed = ("sessionId", "credentials.encryptedToken", "credentials.tokenExpiresAt")
        return await self._upsert(user_id, platform, changes, removed, session)

    async def _upsert(
        self,
        user_id: str,
        platform: str,
        changes: Document,
        removed: Sequence[str],
        session: Session,
    ) -> Connector:
        now = utc_now()
        on_insert = {
            "createdAt": now,
            "connectionDetails.syncInterval": DEFAULT_INTERVAL,
            "syncHistory": [],
            "errors": [],
            "sync.auto": True,
        }
        restartable = {"$in": ["disconnected", "expired"]}
        try:
            document = await self._connectors.find_one_and_update(
                {"userId": user_id, "platform": platform, "connectionStatus": restartable},
                {
                    "$set": {**changes, "updatedAt": now},
                    "$unset": dict.fromkeys(removed, ""),
                    "$inc": {"session.generation": 1},
                    "$setOnInsert": {k: v for k, v in on_insert.items() if k not in changes},
                },
                upsert=True,
                return_document=ReturnDocument.AFTER,
                session=session,
            )
        except DuplicateKeyError:
            raise AlreadyConnected from None
        return connector(cast("Document", document))  # an upsert always gives one

    async def set_login(self, connector_id: str, generation: int, sealed_login: str) -> bool:
        """Keep a login that is pending; False where the session changed meanwhile."""
        changes = {"credentials.encryptedLogin": sealed_login, "updatedAt": utc_now()}
        return await self._change(connector_id, generation, {"$set": changes}) is not None

    async def set_session(
        self,
        connector_id: str,
        generation: int,
        connected: Connected,
        *,
        anew: bool,
        run: Run | None,
    ) -> Connector | None:
        """Store a refreshed session, or with `anew` one that begins; None where it changed meanwhile."""
        now = utc_now()
        update: dict[str, Document] = {
            "$set": {
                **_session_changes(connected),
                "session.refreshedAt": now,
                "updatedAt": now,
            },
            "$inc": {"session.generation": 1},
        }
        if anew:
            update["$set"] |= {
                "connectionStatus": "connected",
                "connectionDetails.connectedAt": now,
                "connectionDetails.nextSyncAt": now,
                "sync.failures": 0,
            }
            update["$unset"] = {
                "connectionDetails.disconnectedAt": "",
                "connectionDetails.sessionDuration": "",
                "credentials.encryptedLogin": "",
            }
            if run is not None:
                update["$set"] |= {"sync.run": run_document(run), "sync.dueAt": now}
        return await self._change(connector_id, generation, update)

    async def end_session(
        self,
        before: Connector,
        *,
        status: str,
        error: ErrorEntry | None = None,
        finished: HistoryEntry | None = None,
        session: Session | None = None,
    ) -> Connector | None:
        """End a connector's session as `disconnected` or `expired`, and with it all syncing.

        `finished` is how a run that was wanted or under way ends. None where the session changed
        meanwhile.
        """
        now = utc_now()
        changes: Document = {"connectionStatus": status, "updatedAt": now}
        if before.live and before.connected_at is not None:
            changes["connectionDetails.sessionDuration"] = whole_minutes(now - before.connected_at)
        if before.live or before.disconnected_at is None or status == "disconnected":
            changes["connectionDetails.disconnectedAt"] = now
        removed = ["sessionId", "connectionDetails.nextSyncAt", "sync.run", "sync.dueAt"]
        if status == "disconnected":
            removed.append("credentials")
        update: dict[str, Document] = {
            "$set": changes,
            "$unset": dict.fromkeys(removed, ""),
            "$inc": {"session.generation": 1, "sync.fence": 1},
        }
        if error is not None:
            push_error(update, error)
        if finished is not None:
            count_run(update, finished)
        return await self._change(before.id, before.generation, update, session)

    async def set_active(self, user_id: str, active: bool, session: Session) -> None:
        """Let a user's connectors sync, or stand still; one that is due by itself goes on at once."""
        now = utc_now()
        await self._connectors.update_many(
            {"userId": user_id},
            {"$set": {"sync.paused": not active, "updatedAt": now}},
            session=session,
        )
        wants = {"userId": user_id, "connectionStatus": {"$in": ["connected", "error"]}}
        if active:
            await self._connectors.update_many(
                {**wants, "sync.auto": True, "sync.dueAt": {"$exists": False}},
                {"$set": {"sync.dueAt": now, "connectionDetails.nextSyncAt": now}},
                session=session,
            )
        else:
            # A run under way keeps its claim and ends by itself; one that only waits is withdrawn.
            await self._connectors.update_many(
                {**wants, "sync.run.startedAt": {"$exists": False}},
                {"$unset": {"sync.dueAt": "", "sync.run": "", "connectionDetails.nextSyncAt": ""}},
                session=session,
            )

    async def delete_of_user(self, user_id: str, session: Session) -> list[str]:
        """Remove all connectors of a user; gives their ids."""
        ids = [found.id for found in await self.of_user(user_id, session)]
        await self._connectors.delete_many({"userId": user_id}, session=session)
        return ids

    async def _change(
        self,
        connector_id: str,
        generation: int,
        update: Mapping[str, Any],
        session: Session | None = None,
    ) -> Connector | None:
        return _maybe(
            await self._connectors.find_one_and_update(
                {
                    "_id": ObjectId(connector_id),
                    "session.generation": generation or {"$in": [0, None]},
                },
                update,
                return_document=ReturnDocument.AFTER,
                session=session,
            )
        )


def _session_changes(connected: Connected) -> Document:
    return {
        "sessionId": connected.session_id,
        "credentials.encryptedToken": connected.sealed_session,
        "credentials.tokenExpiresAt": connected.expires_at,
        "metadata.platformUserId": connected.platform_user_id,
        "metadata.accountType": connected.account_type,
    }


def _permission_changes(permissions: Sequence[str]) -> Document:
    return {"metadata.permissions": list(permissions), "metadata.dataTypes": list(permissions)}


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
