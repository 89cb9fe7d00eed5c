"""The users of sessions."""

from dataclasses import dataclass

from server.core.principals import Role
from server.domains.identity.sessions.dependencies import Owner
from server.kernel import Users
from server.storage.driver import ClientSession


@dataclass(frozen=True)
class SessionOwners:
    """Implements `sessions.dependencies.Owners`."""

    _users: Users

    async def lock(self, user: str, transaction: ClientSession) -> Owner | None:
        found = await self._users.lock_id(user, transaction)
        if found is None or not found.is_active:
            return None
        return Owner(found.user_id, Role[found.role.upper()])
