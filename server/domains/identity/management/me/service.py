"""Use cases of one's own account."""

from collections.abc import Sequence

import structlog

from server.core.authorization import check_recent_login
from server.core.clock import Clock
from server.core.errors import InvalidRequest, SessionEnded
from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.core.model import Changes
from server.core.pages import Page, PageRequest
from server.core.principals import Represented, SignedIn
from server.core.users import User
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.lockout.model import Name
from server.domains.identity.credentials.lockout.service import Lockout
from server.domains.identity.credentials.notices import Notices
from server.domains.identity.credentials.passwords.hashing import PasswordHashing, Place
from server.domains.identity.errors import LoginFailed
from server.domains.identity.management.me.model import LoginMethods, Me
from server.domains.identity.recovery.mails import Mails
from server.domains.identity.recovery.store import TokenStore
from server.domains.identity.sessions.model import LoginSession
from server.domains.identity.sessions.service import SessionService
from server.kernel import Users
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_log = structlog.stdlib.get_logger("finlink.identity")


class MeService:
    def __init__(
        self,
        changes: RecordedChanges,
        users: Users,
        accounts: AccountStore,
        hashing: PasswordHashing,
        lockout: Lockout,
        sessions: SessionService,
        tokens: TokenStore,
        notices: Notices,
        mails: Mails,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._users = users
        self._accounts = accounts
        self._hashing = hashing
        self._lockout = lockout
        self._sessions = sessions
        self._tokens = tokens
        self._notices = notices
        self._mails = mails
        self._clock = clock

    async def get(self, caller: SignedIn | Represented) -> Me:
        """Raises SessionEnded if the user is gone."""
        return await self._me(await self._user(caller), caller)

    async def update(self, caller: SignedIn, changes: Changes, reply: KeyedReply | None) -> Me:
        """Apply changes by document path. Raises SessionEnded."""
        user = await self._user(caller)

        async def work(session: ClientSession) -> Me:
            changed = await self._users.update(user.user_id, changes, session)
            return await self._me(changed, caller)

        event = Event("user.updated", user.user_id, fields=sorted(changes))
        return await self._changes.make(work, lambda _: event, reply)

    async def change_password(self, caller: SignedIn, current: str | None, new: str) -> None:
        """Set a password, and end the user's other sessions, tokens of mails and logins under way.

        Raises LoginFailed for a wrong current password, which counts as a failed login; AccountLocked;
        RecentLoginRequired if there is no password yet; InvalidRequest for one that is too easy to guess.
        """
        user = await self._user(caller)
        async with self._hashing.place(known_device=True) as place:
            account = await self._accounts.of(user.id)
            stored = account.password.hash if account and account.password else None
            name = Name("session", caller.session_id, user.id)
            if current is None:
                self._check_first(caller, stored)
            else:
                await self._check_current(place, name, user, current, stored)
            problem = await place.check_new_password(new, user_id=user.user_id, email=user.email)
            if problem is not None:
                raise InvalidRequest.of("newPassword", problem)
            hashed = await place.hash(new)

        async def work(session: ClientSession) -> str:
            await self._sessions.end_all(
                user.id, "credentials", session, except_session=caller.session_id
            )
            await self._sessions.require(caller.session_id, session)
            now = await self._accounts.find({"_id": user.id}, session)
            if (now.password.hash if now and now.password else None) != stored:
                raise LoginFailed  # it was changed meanwhile
            await self._accounts.set_password(user.id, user.user_id, hashed, session)
            # Logins that are not complete, and tokens of mails that somebody else may have asked for.
            await self._tokens.end_all(user.id, session)
            await self._lockout.succeeded(name, session)
            await self._notices.add(self._mails.password_changed, user, session)
            return user.user_id

        event = Event("user.password_changed", user.user_id)
        await self._changes.make(work, lambda _: event, None)
        self._sessions.announce(user.id)
        self._notices.wake()
        _log.info("password changed", user_id=user.user_id)

    async def sessions(
        self, caller: SignedIn | Represented, wanted: PageRequest
    ) -> Page[LoginSession]:
        """Newest use first. Raises InvalidRequest for a bad page token."""
        return await self._sessions.list(caller.user, wanted)

    async def revoke(self, caller: SignedIn, session_id: str, reply: KeyedReply | None) -> None:
        """End one of the caller's sessions. Raises SessionNotFound."""
        await self._sessions.revoke(caller.user, session_id, "revoked", reply)

    async def revoke_all(
        self, caller: SignedIn, reply: KeyedReply | None, *, include_current: bool
    ) -> Sequence[LoginSession]:
        """End the caller's sessions, all or all others."""
        kept = None if include_current else caller.session_id
        return await self._sessions.revoke_all(caller.user, "revoked", reply, except_session=kept)

    def _check_first(self, caller: SignedIn, stored: str | None) -> None:
        if stored is not None:
            raise InvalidRequest.of("currentPassword", "must be sent, since there is a password")
        check_recent_login(caller, self._clock.now())

    async def _check_current(
        self, place: Place, name: Name, user: User, current: str, stored: str | None
    ) -> None:
        await self._lockout.attempt(name)
        if not await place.verify(current, stored):
            await self._lockout.failed(name, user.user_id)
            raise LoginFailed

    async def _user(self, caller: SignedIn | Represented) -> User:
        user = await self._users.find("id", caller.user)
        if user is None:
            raise SessionEnded
        return user

    async def login_methods(self, user: str) -> LoginMethods:
        """Those of a user, who is named by `User.id`."""
        account = await self._accounts.of(user)
        return LoginMethods(
            password=account is not None and account.password is not None,
            phone=account is not None and account.phone is not None,
            external=account.providers if account else (),
        )

    async def _me(self, user: User, caller: SignedIn | Represented) -> Me:
        session = None
        if isinstance(caller, SignedIn):
            session = await self._sessions.get(caller.session_id)
        return Me(user, session, await self.login_methods(user.id))
