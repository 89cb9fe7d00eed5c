"""Login sessions in MongoDB: collection `login_sessions`."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, get_args

from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateOne, timeout

from server.core.errors import SessionEnded
from server.core.pages import Page, PageRequest
from server.core.principals import Role
from server.domains.identity.sessions.model import (
    USER_AGENT_CHARACTERS,
    Caller,
    EndedBy,
    Kind,
    LoginSession,
    Rotation,
)
from server.storage import paging
from server.storage.driver import ClientSession, Database, Document
from server.storage.repository import Repository
from server.storage.updates import change

LOGIN_SESSIONS = "login_sessions"
SEEN_EVERY = timedelta(minutes=1)
# Counting looks at all there are: a million sessions may take longer than a call may.
LONGEST_COUNT_SECONDS = 60.0

_NEWEST_USE_FIRST = [("lastSeenAt", DESCENDING), ("_id", DESCENDING)]
_OF_USER = "user_newest_use"
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    LOGIN_SESSIONS: [
        IndexModel([("user", ASCENDING), *_NEWEST_USE_FIRST], name=_OF_USER),
        # For a day it is known that a session was its user's.
        IndexModel("expiresAt", expireAfterSeconds=86_400),
    ]
}
_DIGESTS_LEFT_OUT = {"cookieDigest": 0, "rotationKey": 0}


def live(now: datetime) -> Document:
    """The query of sessions that have not ended."""
    return {"endedAt": None, "expiresAt": {"$gt": now}}


class SessionStore(Repository[LoginSession]):
    """A session that is not there any more has ended."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, LOGIN_SESSIONS, LoginSession, missing=SessionEnded)
        self._database = database

    async def rotate(
        self, session_id: str, counter: int, rotation: Rotation
    ) -> LoginSession | None:
        """Move the counter on by one; None unless the session is live and has this counter.

        One command, also where it changes nothing. MongoDB replies when a majority has what it found, so
        what is read next is not less than that.
        """
        query = {"_id": session_id, "counter": counter, **live(rotation.at)}
        fields = {
            "counter": counter + 1,
            "rotatedAt": rotation.at,
            "rotationKey": {"$literal": rotation.key} if rotation.key else "$$REMOVE",
            "expiresAt": {"$min": [rotation.expires_at, "$maxAt"]},
            **_seen(rotation.at, rotation.caller),
        }
        document = await change(self._collection, self._mapped.values(query), fields)
        return self._mapped.read(document) if document else None

    async def touch(self, used: Mapping[str, tuple[datetime, Caller]]) -> None:
        """Note when and by whom sessions were used, but for those noted within the minute before."""
        writes = []
        for session_id, (at, caller) in used.items():
            query = {"_id": session_id, "lastSeenAt": {"$lte": at - SEEN_EVERY}, **live(at)}
            writes.append(UpdateOne(self._mapped.values(query), [{"$set": _seen(at, caller)}]))
        await self._collection.bulk_write(writes, ordered=False)

    async def live(
        self, match: Mapping[str, Any], now: datetime, transaction: ClientSession, *, skip: int = 0
    ) -> list[LoginSession]:
        """Those that match and have not ended, newest use first, without the first `skip`."""
        query = self._mapped.values({**match, **live(now)})
        cursor = self._collection.find(query, session=transaction).sort(_NEWEST_USE_FIRST)
        return [self._mapped.read(each) for each in await cursor.skip(skip).to_list(None)]

    async def end(
        self,
        sessions: Sequence[LoginSession],
        by: EndedBy,
        now: datetime,
        transaction: ClientSession,
    ) -> None:
        """End sessions that were found live in the same transaction. Each is removed a day later."""
        query = self._mapped.values({"_id": {"$in": [each.id for each in sessions]}})
        fields = {"endedAt": now, "endedBy": by, "expiresAt": now}
        await self._collection.update_many(query, {"$set": fields}, session=transaction)

    async def set_role(
        self, user: str, role: Role, now: datetime, transaction: ClientSession
    ) -> None:
        """Of all sessions of a user that have not ended."""
        query = self._mapped.values({"user": user, **live(now)})
        fields = self._mapped.values({"role": role})
        await self._collection.update_many(query, {"$set": fields}, session=transaction)

    async def list(self, user: str, wanted: PageRequest, now: datetime) -> Page[LoginSession]:
        """A user's sessions that have not ended, newest use first, without their digests."""

        async def find(part: Document, count: int) -> list[Document]:
            cursor = self._collection.find(part, _DIGESTS_LEFT_OUT).hint(_OF_USER)
            return await cursor.sort(_NEWEST_USE_FIRST).limit(count).to_list(None)

        query = self._mapped.values({"user": user, **live(now)})
        documents, token = await paging.page(find, query, wanted, {"user": user}, "lastSeenAt")
        items = [self._mapped.read(document) for document in documents]
        return Page(items, 1, wanted.limit, None, token)

    async def count_live(self, now: datetime) -> dict[Kind, int]:
        """How many sessions are live, by kind."""
        with timeout(LONGEST_COUNT_SECONDS):
            kinds = await self._database.aggregate(
                self._collection,
                [{"$match": live(now)}, {"$group": {"_id": "$kind", "count": {"$sum": 1}}}],
            )
        counted = {each["_id"]: each["count"] for each in kinds}
        return {kind: counted.get(kind, 0) for kind in get_args(Kind)}


def _seen(now: datetime, caller: Caller) -> Document:
    """The fields that say when and from where a session was last used: those there are for a minute."""
    due = {"$lte": ["$lastSeenAt", now - SEEN_EVERY]}
    agent = caller.user_agent and caller.user_agent[:USER_AGENT_CHARACTERS]
    values = {"lastSeenAt": now, "address": caller.address, "userAgent": agent}
    return {
        name: {"$cond": [due, {"$literal": value}, f"${name}"]}
        for name, value in values.items()
        if value is not None
    }
