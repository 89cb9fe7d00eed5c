"""What other domains may ask of users."""

from __future__ import annotations

from server.domains.users.errors import UserNotFound
from server.domains.users.model import User
from server.domains.users.store import UserStore
from server.storage.driver import Session


class UserDirectory:
    def __init__(self, store: UserStore) -> None:
        self._store = store

    async def is_active(self, user_id: str) -> bool:
        """Raises UserNotFound."""
        return _active(await self._store.get(user_id))

    async def identity(self, user_id: str, *, expected: str | None = None) -> str:
        """What tells a user from a later one of the same name. Raises UserNotFound."""
        user = await self._store.get(user_id)
        if user is None or expected not in {None, user.id}:
            raise UserNotFound
        return user.id

    async def lock(self, user_id: str, session: Session) -> bool:
        """The same inside a transaction, keeping the user from being deleted or changed meanwhile."""
        return _active(await self._store.lock(user_id, session))


def _active(user: User | None) -> bool:
    if user is None:
        raise UserNotFound
    return user.status == "active"
