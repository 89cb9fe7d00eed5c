"""Use cases of staff: the sessions and logins of other users."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from server.core.errors import InvalidRequest
from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.core.pages import Page, PageRequest
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.factors.removal import FactorRemoval
from server.domains.identity.credentials.lockout.names import names_of
from server.domains.identity.credentials.lockout.service import Lockout, SecondFactorLockout
from server.domains.identity.credentials.notices import Notices
from server.domains.identity.recovery.reset import PasswordReset
from server.domains.identity.sessions.model import LoginSession
from server.domains.identity.sessions.service import SessionService
from server.kernel import Users
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_log = structlog.stdlib.get_logger("finlink.identity")


@dataclass(frozen=True)
class StaffService:
    """Users are named by `userId`. Each method raises UserNotFound."""

    _changes: RecordedChanges
    _users: Users
    _accounts: AccountStore
    _sessions: SessionService
    _reset: PasswordReset
    _lockout: Lockout
    _second_factors: SecondFactorLockout
    _removal: FactorRemoval
    _notices: Notices

    async def sessions(self, user_id: str, wanted: PageRequest) -> Page[LoginSession]:
        """Newest use first. Raises InvalidRequest for a bad page token."""
        user = await self._users.get(user_id)
        return await self._sessions.list(user.id, wanted)

    async def revoke_sessions(self, user_id: str, reply: KeyedReply | None) -> None:
        """End all sessions of a user."""
        user = await self._users.get(user_id)
        await self._sessions.revoke_all(user.id, "staff", reply)

    async def send_password_reset(self, user_id: str, reply: KeyedReply | None) -> None:
        """Have the mail sent with which the user sets a password.

        Raises DeliveryUnavailable, and InvalidRequest if the user has no address.
        """
        user = await self._users.get(user_id)
        if user.email is None:
            raise InvalidRequest.of("userId", "is a user without an email")
        await self._reset.ask(user.email, reply)

    async def remove_mfa(self, user_id: str, reply: KeyedReply | None) -> None:
        """Remove the second factor of a user, if there is one; sessions go on."""
        user = await self._users.get(user_id)

        async def work(session: ClientSession) -> bool:
            return await self._removal.remove(user, session)

        def events(was_there: bool) -> Sequence[Event]:
            return [Event("user.totp_removed", user_id)] if was_there else []

        await self._changes.make(work, events, reply)
        self._notices.wake()
        _log.info("second factor removed by staff", user_id=user_id)

    async def unlock(self, user_id: str, reply: KeyedReply | None) -> None:
        """Forget the failed logins and second factors of a user."""
        user = await self._users.get(user_id)

        async def work(session: ClientSession) -> str:
            account = await self._accounts.find({"_id": user.id}, session)
            await self._lockout.clear_user(user.id, names_of(user, account), session)
            await self._second_factors.clear(user.id, session)
            return user.user_id

        await self._changes.make(work, lambda _: Event("login.unlocked", user_id), reply)
        _log.info("logins unlocked", user_id=user_id)
