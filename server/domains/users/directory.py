"""The questions that other domains may ask about users."""

from server.domains.users.errors import UserNotFound
from server.domains.users.store import UserStore
from server.storage.driver import ClientSession


class UserDirectory:
    def __init__(self, store: UserStore) -> None:
        self._store = store

    async def is_active(self, user_id: str) -> bool:
        """Raises UserNotFound."""
        return (await self._store.get(user_id)).status == "active"

    async def identity(self, user_id: str, *, expected: str | None = None) -> str:
        """The id that distinguishes a user from a later one of the same name. Raises UserNotFound."""
        user = await self._store.get(user_id)
        if expected not in {None, user.id}:
            raise UserNotFound
        return user.id

    async def lock(self, user_id: str, session: ClientSession) -> bool:
        """`is_active` inside a transaction, keeping the user from being deleted or changed meanwhile."""
        return (await self._store.lock(user_id, session)).status == "active"
