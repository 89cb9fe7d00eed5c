"""Login sessions on a real MongoDB, with what they ask of others: users, revocations, notices, stored too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from bson import ObjectId

from server.core.clock import Clock, utc_now
from server.core.errors import SessionEnded
from server.core.pages import PageRequest
from server.core.principals import Role
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.sessions.dependencies import Owner
from server.domains.identity.sessions.model import (
    Begun,
    Caller,
    Kind,
    LoginSession,
    NewSession,
    Refreshed,
)
from server.domains.identity.sessions.refresh_tokens import RefreshTokens
from server.domains.identity.sessions.refreshing import SessionRefresher
from server.domains.identity.sessions.service import SessionService
from server.domains.identity.sessions.store import LOGIN_SESSIONS, SessionStore
from server.domains.identity.sessions.use import SessionUse
from server.domains.identity.settings import IdentitySettings
from server.storage.audit import AuditTrail, Codes
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession, Database, Document

T = TypeVar("T")

SECRET = bytes(range(32))
USERS, REVOKED, NOTICES, PASSWORDS = "users", "revoked", "notices", "passwords"
PHONE = Caller(
    "2001:0db8:85a3:08d3:1319:8a2e:0370:7344",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.7 Mobile/15E148 Safari/604.1",
)


class TurnedClock(Clock):
    """Stands still unless it is turned."""

    def __init__(self) -> None:
        super().__init__()
        self.at = utc_now()

    def now(self) -> Any:
        return self.at

    def timestamp(self) -> float:
        return float(self.at.timestamp())

    def turn(self, **by: float) -> None:
        self.at += timedelta(**by)


class Users:
    """`Owners` as the users' store keeps them."""

    def __init__(self, database: Database) -> None:
        self._users = database.collection(USERS)

    async def create(self, user_id: str = "u_1", role: Role = Role.USER) -> str:
        user = {"_id": ObjectId(), "userId": user_id, "role": int(role), "status": "active"}
        await self._users.insert_one({**user, "email": f"{user['_id']}@example.com"})
        return str(user["_id"])

    async def change(self, user: str, transaction: ClientSession, **fields: object) -> None:
        await self._users.update_one({"_id": ObjectId(user)}, {"$set": fields}, session=transaction)

    async def lock(self, user: str, transaction: ClientSession) -> Owner | None:
        document = await self._users.find_one_and_update(
            {"_id": ObjectId(user), "status": "active"},
            {"$inc": {"lockVersion": 1}},
            session=transaction,
        )
        return Owner(document["userId"], Role(document["role"])) if document else None


class Written:
    """`Revocations` and `ReuseNotices` that are documents: they go with a transaction that fails."""

    def __init__(self, database: Database) -> None:
        self._revoked = database.collection(REVOKED)
        self._notices = database.collection(NOTICES)

    async def revoke_sessions(
        self, session_ids: Sequence[str], user: str, transaction: ClientSession
    ) -> None:
        documents = [{"session": each, "user": user} for each in session_ids]
        await self._revoked.insert_many(documents, session=transaction)

    def announce(self, user: str) -> None:
        pass

    async def session_reused(self, session: LoginSession, transaction: ClientSession) -> None:
        document = {"session": session.id, "user": session.user}
        await self._notices.insert_one(document, session=transaction)

    async def revoked(self) -> list[str]:
        return [each["session"] for each in await self._revoked.find({}).to_list(None)]

    async def notices(self) -> list[str]:
        return [each["session"] for each in await self._notices.find({}).to_list(None)]


@dataclass
class World:
    database: Database
    settings: IdentitySettings = field(default_factory=IdentitySettings)
    clock: TurnedClock = field(default_factory=TurnedClock)
    tokens: RefreshTokens = field(default_factory=lambda: RefreshTokens(SECRET))

    def __post_init__(self) -> None:
        self.trail = AuditTrail(self.database, Codes(SECRET))
        changes = RecordedChanges(self.database, self.trail)
        self.store = SessionStore(self.database)
        self.users = Users(self.database)
        self.written = Written(self.database)
        self.sessions = SessionService(
            changes, self.store, self.tokens, self.users, self.written, self.settings, self.clock
        )
        self.noted = SessionUse(self.store, AccountStore(self.database), self.clock)
        self.refresher = SessionRefresher(
            changes, self.store, self.tokens, self.sessions, self.written, self.settings, self.clock
        )

    async def use(self, session_id: str, caller: Caller = PHONE) -> None:
        """A call in this session, and the next time that a worker writes what it has noted."""
        session = await self.store.get(session_id)
        self.noted.note(session_id, session.user, lambda: caller)
        await self.noted.write()

    async def transact(self, work: Callable[[ClientSession], Awaitable[T]]) -> T:
        return await self.database.transact(work)

    async def begin(
        self, user: str, kind: Kind = "token", caller: Caller = PHONE, device: str | None = None
    ) -> Begun:
        new = NewSession(user, kind, ("pwd",), caller, device)
        return await self.transact(lambda transaction: self.sessions.begin(new, transaction))

    async def refresh(
        self, token: str, key: str | None = None, caller: Caller = PHONE
    ) -> Refreshed:
        return await self.refresher.refresh(token, key, caller)

    async def refreshed(self, token: str, key: str | None = None) -> str | None:
        """The successor; None if the session has ended."""
        try:
            return (await self.refresh(token, key)).refresh_token
        except SessionEnded:
            return None

    async def at_once(self, *calls: Awaitable[T]) -> list[T]:
        return list(await asyncio.gather(*calls))

    async def document(self, session_id: str) -> Document:
        found = await self.database.collection(LOGIN_SESSIONS).find_one(
            {"_id": ObjectId(session_id)}
        )
        assert found is not None
        return found

    async def listed(self, user: str) -> list[str]:
        """The ids of a user's sessions, newest use first."""
        page = await self.sessions.list(user, PageRequest(limit=100))
        return [each.id for each in page.items]

    async def events(self) -> list[tuple[str, str]]:
        """What was done, and about whom, oldest first."""
        found = await self.trail.find({}, 1000)
        return [(each["action"], each["userId"]) for each in reversed(found)]
