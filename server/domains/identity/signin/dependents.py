"""Ends the logins of a user who is deleted or made inactive."""

from dataclasses import dataclass

from server.core.users import User
from server.delivery.outbox import Outbox
from server.domains.identity.accounts.store import AccountStore
from server.domains.identity.lockout.service import Lockout, SecondFactorLockout
from server.domains.identity.recovery.store import TokenStore
from server.domains.identity.sessions.service import SessionService
from server.domains.identity.tokens.revocations import RevocationWriter
from server.kernel import UserDependents
from server.storage.driver import ClientSession


@dataclass(frozen=True)
class LoginDependents(UserDependents):
    _accounts: AccountStore
    _sessions: SessionService
    _revocations: RevocationWriter
    _mail_tokens: TokenStore
    _lockout: Lockout
    _second_factors: SecondFactorLockout
    _outbox: Outbox

    async def delete(self, user: User, session: ClientSession) -> None:
        await self._outbox.remove_of(user.id, session)
        await self._mail_tokens.remove_all(user.id, session)
        if await self._accounts.find({"_id": user.id}, session) is None:
            return  # who has no way to sign in has no sessions
        await self._sessions.delete_all(user.id, session)
        await self._revocations.end_user(user.id, session)
        await self._lockout.clear_user(user.id, [], session)
        await self._second_factors.clear(user.id, session)
        await self._accounts.remove({"_id": user.id}, session)

    async def set_active(self, user: User, active: bool, session: ClientSession) -> None:
        if active or await self._accounts.find({"_id": user.id}, session) is None:
            return
        await self._sessions.end_all(user.id, "status", session)
        await self._revocations.end_user(user.id, session)

    def committed(self, user: User) -> None:
        self._revocations.announce(user.id)
