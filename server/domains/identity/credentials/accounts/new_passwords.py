"""The passwords of users whom somebody else creates: implements `kernel.Passwords`."""

from dataclasses import dataclass

from server.core.errors import InvalidRequest
from server.core.users import User
from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.passwords.hashing import PasswordHashing
from server.storage.driver import ClientSession


@dataclass(frozen=True)
class NewPasswords:
    _accounts: AccountStore
    _hashing: PasswordHashing

    async def hash_new(self, password: str, *, user_id: str, email: str | None) -> str:
        """Raises InvalidRequest if it is too easy to guess; Unavailable."""
        async with self._hashing.place(known_device=False) as place:
            problem = await place.check_new_password(password, user_id=user_id, email=email)
            if problem is not None:
                raise InvalidRequest.of("password", problem)
            return await place.hash(password)

    async def store(self, user: User, hashed: str, session: ClientSession) -> None:
        await self._accounts.set_password(user.id, user.user_id, hashed, session)
