"""Changes what identity keeps of a user together with the user."""

from dataclasses import dataclass
from functools import partial

from server.core.clock import Clock
from server.core.principals import Role
from server.core.users import User
from server.delivery.outbox import Outbox
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.lockout.names import names_of
from server.domains.identity.credentials.lockout.service import Lockout, SecondFactorLockout
from server.domains.identity.credentials.notices import Notices
from server.domains.identity.recovery.mails import Mails
from server.domains.identity.recovery.store import TokenStore
from server.domains.identity.sessions.service import SessionService
from server.domains.identity.sessions.store import SessionStore
from server.domains.identity.tokens.revocations import RevocationWriter
from server.kernel import UserDependents
from server.storage.driver import ClientSession, Database


@dataclass(frozen=True)
class LoginDependents(UserDependents):
    """Ends the logins of a user who is deleted or made inactive."""

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
        account = await self._accounts.find({"_id": user.id}, session)
        # The next user of one of these names must not find it locked.
        await self._lockout.clear_user(user.id, names_of(user, account), session)
        if account is None:
            return  # who has no way to sign in has no sessions
        await self._sessions.delete_all(user.id, session)
        await self._revocations.end_user(user.id, session)
        await self._second_factors.clear(user.id, session)
        await self._accounts.remove({"_id": user.id}, session)

    async def set_active(self, user: User, active: bool, session: ClientSession) -> None:
        if active or await self._accounts.find({"_id": user.id}, session) is None:
            return
        await self._sessions.end_all(user.id, "status", session)
        await self._revocations.end_user(user.id, session)

    def committed(self, user: User) -> None:
        self._revocations.announce(user.id)


@dataclass(frozen=True)
class RoleDependents(UserDependents):
    """Lets a user's sessions and tokens follow the user's role."""

    _database: Database
    _sessions: SessionStore
    _revocations: RevocationWriter
    _clock: Clock

    async def role_changed(self, user: User, session: ClientSession) -> None:
        role = Role[user.role.upper()]
        await self._sessions.set_role(user.id, role, self._clock.now(), session)
        await self._revocations.expire_tokens(user.id, session)

    async def after_role_change(self, user: User) -> None:
        """A refresh that was repeated before the commit has read the old role, and made a token of it."""
        await self._database.transact(partial(self._revocations.expire_tokens, user.id))

    def committed(self, user: User) -> None:
        self._revocations.announce(user.id)


@dataclass(frozen=True)
class AddressDependents(UserDependents):
    """Ends the mails that an address has got, and notifies it, when a user gets another one."""

    _mail_tokens: TokenStore
    _notices: Notices
    _mails: Mails

    async def email_changed(self, user: User, before: str | None, session: ClientSession) -> None:
        await self._mail_tokens.end_all(user.id, session)
        if before is not None:
            await self._notices.add_to(before, self._mails.email_changed, user, session)

    def committed(self, user: User) -> None:
        self._notices.wake()
