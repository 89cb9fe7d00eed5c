"""Ends the second factor of a user, with all that was begun for it."""

from dataclasses import dataclass

from server.core.users import User
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.challenges.store import ChallengeStore
from server.domains.identity.credentials.factors import messages
from server.domains.identity.credentials.lockout.service import SecondFactorLockout
from server.domains.identity.credentials.notices import Notices
from server.kernel import Users
from server.storage.driver import ClientSession


@dataclass(frozen=True)
class FactorRemoval:
    _users: Users
    _accounts: AccountStore
    _challenges: ChallengeStore
    _lockout: SecondFactorLockout
    _notices: Notices

    async def remove(self, user: User, session: ClientSession) -> bool:
        """Whether there was one, which is recorded as `user.totp_removed`. Part of a larger change."""
        account = await self._accounts.find({"_id": user.id}, session)
        if account is None or account.totp is None:
            return False
        await self._accounts.update(user.id, {"totp": None, "recoveryCodes": None}, session)
        await self._challenges.end_all(user.id, session)
        await self._lockout.clear(user.id, session)
        if account.active_totp is None:
            return False
        await self._users.update(user.user_id, {"mfaEnabled": False}, session)
        await self._notices.add(messages.of("totp_removed"), user, session)
        return True
