"""Use cases of login sessions: begin, find, list, end."""

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeAlias

from server.core.clock import Clock
from server.core.errors import SessionEnded, Unauthenticated
from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.core.pages import Page, PageRequest
from server.core.principals import Role
from server.domains.identity.errors import SessionNotFound
from server.domains.identity.sessions.cookies import new_cookie, read_cookie
from server.domains.identity.sessions.dependencies import Owners, Revocations
from server.domains.identity.sessions.model import (
    MOST_SESSIONS,
    USER_AGENT_CHARACTERS,
    Begun,
    EndedBy,
    LoginSession,
    NewSession,
)
from server.domains.identity.sessions.refresh_tokens import RefreshTokens
from server.domains.identity.sessions.store import SessionStore, live
from server.domains.identity.settings import IdentitySettings
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession
from server.storage.repository import new_id

Work: TypeAlias = Callable[[ClientSession], Awaitable[Sequence[LoginSession]]]
_FIRST = 1  # counter of a session's first refresh token


class SessionService:
    """Users are named by `User.id`. Methods that take a transaction are parts of a larger change, which
    records its own event.
    """

    def __init__(
        self,
        changes: RecordedChanges,
        store: SessionStore,
        tokens: RefreshTokens,
        owners: Owners,
        revocations: Revocations,
        settings: IdentitySettings,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._store = store
        self._tokens = tokens
        self._owners = owners
        self._revocations = revocations
        self._clock = clock
        self._refresh_life = timedelta(minutes=settings.refresh_token_expire_minutes)
        self._longest = timedelta(days=settings.session_max_days)
        self._cookie_life = timedelta(hours=settings.cookie_session_hours)

    async def begin(self, new: NewSession, transaction: ClientSession) -> Begun:
        """Sign a user in; of too many sessions the longest unused end.

        The user is locked: logins of one user do not overlap, nor does one with a change of the user's role
        or status. Raises SessionEnded if the user is gone or not active.
        """
        owner = await self._owners.lock(new.user, transaction)
        if owner is None:
            raise SessionEnded
        if new.kind == "cookie" and new.caller.cookie is not None:
            await self._replace(new.caller.cookie, transaction)
        ended = await self._end({"user": new.user}, "limit", transaction, skip=MOST_SESSIONS - 1)
        now = self._clock.now()
        session_id, agent = new_id(), new.caller.user_agent
        if new.kind == "token":
            max_at = now + self._longest
            expires_at = min(now + self._refresh_life, max_at)
            secret, counter, digest = self._tokens.make(session_id, _FIRST), _FIRST, None
        else:
            expires_at = max_at = now + self._cookie_life
            secret, digest = new_cookie(session_id)
            counter = None
        session = LoginSession(
            id=session_id,
            user=new.user,
            user_id=owner.user_id,
            role=owner.role,
            kind=new.kind,
            amr=new.amr,
            created_at=now,
            auth_time=now,
            last_seen_at=now,
            expires_at=expires_at,
            max_at=max_at,
            counter=counter,
            cookie_digest=digest,
            address=new.caller.address,
            user_agent=agent and agent[:USER_AGENT_CHARACTERS],
            device_name=new.device_name,
        )
        await self._store.insert([session], transaction)
        return Begun(session, secret, ended)

    async def _replace(self, cookie: str, transaction: ClientSession) -> None:
        """End the session that a browser has had until now, if there is one, whoever's it is."""
        try:
            sent = read_cookie(cookie)
        except Unauthenticated:
            return
        match = {"_id": sent.session_id, "cookieDigest": sent.digest}
        await self._end(match, "logout", transaction)

    async def by_cookie(self, value: str) -> LoginSession:
        """The session that a cookie stands for. Raises Unauthenticated, SessionEnded."""
        sent = read_cookie(value)
        session = await self._store.get(sent.session_id)
        if not hmac.compare_digest(session.cookie_digest or b"", sent.digest):
            raise Unauthenticated("The session cookie is not valid")
        if not session.is_live(self._clock.now()):
            raise SessionEnded
        return session

    async def get(self, session_id: str) -> LoginSession:
        """Raises SessionEnded if it is not there any more."""
        return await self._store.get(session_id)

    async def require(self, session_id: str, transaction: ClientSession) -> None:
        """Raises SessionEnded unless the session still goes on, for a change that outlasts it.

        A call may have begun before it ended, or have come to a host that has not heard of that. The
        transaction has locked the user, as who ends sessions does.
        """
        match = {"_id": session_id, **live(self._clock.now())}
        if await self._store.find(match, transaction) is None:
            raise SessionEnded

    async def prove(
        self, session_id: str, transaction: ClientSession | None = None
    ) -> LoginSession:
        """Note that the user has just proved again who it is. Raises SessionEnded."""
        now = self._clock.now()
        match = {"_id": session_id, **live(now)}
        return await self._store.update(match, {"authTime": now}, transaction)

    async def set_role(self, user: str, role: Role, transaction: ClientSession) -> None:
        """Let sessions have the user's new role, in the transaction that changes the user."""
        await self._store.set_role(user, role, self._clock.now(), transaction)

    async def list(self, user: str, wanted: PageRequest) -> Page[LoginSession]:
        """Newest use first, without digests. Raises InvalidRequest for a bad page token."""
        return await self._store.list(user, wanted, self._clock.now())

    async def log_out(
        self, session_id: str, reply: KeyedReply | None = None
    ) -> Sequence[LoginSession]:
        """End a session whose owner asks for it, or nothing if it has ended."""

        async def work(transaction: ClientSession) -> Sequence[LoginSession]:
            return await self._end({"_id": session_id}, "logout", transaction)

        return await self._make(work, "user.logged_out", reply)

    async def log_out_by(
        self, refresh_token: str, reply: KeyedReply | None = None
    ) -> Sequence[LoginSession]:
        """The same with any refresh token of the session. Raises Unauthenticated."""
        return await self.log_out(self._tokens.read(refresh_token).session_id, reply)

    async def revoke(
        self, user: str, session_id: str, by: EndedBy, reply: KeyedReply | None = None
    ) -> Sequence[LoginSession]:
        """End a session of a user, or nothing if it has ended. Raises SessionNotFound for another's."""

        async def work(transaction: ClientSession) -> Sequence[LoginSession]:
            match = {"_id": session_id, "user": user}
            if await self._store.find(match, transaction) is None:
                raise SessionNotFound
            return await self._end(match, by, transaction)

        return await self._make(work, "session.revoked", reply)

    async def revoke_all(
        self,
        user: str,
        by: EndedBy,
        reply: KeyedReply | None = None,
        *,
        except_session: str | None = None,
    ) -> Sequence[LoginSession]:
        """End a user's sessions, all or all but one."""

        async def work(transaction: ClientSession) -> Sequence[LoginSession]:
            return await self.end_all(user, by, transaction, except_session=except_session)

        return await self._make(work, "session.revoked", reply)

    def announce(self, user: str) -> None:
        """Sessions of a user were ended, and that has been committed: let it hold on this host at once."""
        self._revocations.announce(user)

    async def end(
        self, session_ids: Sequence[str], by: EndedBy, transaction: ClientSession
    ) -> Sequence[LoginSession]:
        """End sessions of one user; gives those that had not ended."""
        return await self._end({"_id": {"$in": list(session_ids)}}, by, transaction)

    async def end_all(
        self,
        user: str,
        by: EndedBy,
        transaction: ClientSession,
        *,
        except_session: str | None = None,
    ) -> Sequence[LoginSession]:
        """End a user's sessions, all or all but one, and none that begins meanwhile is left."""
        await self._owners.lock(user, transaction)
        match: dict[str, Any] = {"user": user}
        if except_session is not None:
            match["_id"] = {"$ne": except_session}
        return await self._end(match, by, transaction)

    async def delete_all(self, user: str, transaction: ClientSession) -> None:
        """Remove a user's sessions, in the transaction that removes the user."""
        await self._end({"user": user}, "status", transaction)
        await self._store.remove_all({"user": user}, transaction)

    async def _make(
        self, work: Work, action: str, reply: KeyedReply | None
    ) -> Sequence[LoginSession]:
        ended = await self._changes.make(work, _events(action), reply)
        if ended:
            self.announce(ended[0].user)
        return ended

    async def _end(
        self, match: Mapping[str, Any], by: EndedBy, transaction: ClientSession, *, skip: int = 0
    ) -> Sequence[LoginSession]:
        now = self._clock.now()
        ended = await self._store.live(match, now, transaction, skip=skip)
        if ended:
            await self._store.end(ended, by, now, transaction)
            ids = [each.id for each in ended]
            await self._revocations.revoke_sessions(ids, ended[0].user, transaction)
        return ended


def _events(action: str) -> Callable[[Sequence[LoginSession]], Sequence[Event]]:
    return lambda ended: [Event(action, ended[0].user_id)] if ended else []
