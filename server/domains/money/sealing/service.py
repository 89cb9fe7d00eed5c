"""The key that seals all of a user's money: amounts, texts and sums, each in one blob a document.

It is made with the first document and destroyed with the user, which ends every copy of what it sealed.
"""

from server.security.data_key import DataKey, Owner
from server.security.encryption import Undecipherable
from server.security.sealed_box import SealedBox
from server.storage.data_keys import DataKeyStore
from server.storage.driver import ClientSession

_NAME = "money"  # of the key, among the keys of a user


class MoneyKeys:
    """Boxes of users, named by `User.id`. No key is kept in memory. Driver errors pass through."""

    def __init__(self, keys: DataKeyStore) -> None:
        self._keys = keys

    async def of(self, owner: str, session: ClientSession | None = None) -> SealedBox:
        """The box of a user who has money. Raises Undecipherable where its key is gone."""
        key = await self._keys.of(owner_of_key(owner), session)
        if key is None:
            raise Undecipherable("its data key was destroyed, or is not there")
        return _box(key)

    async def made(self, owner: str, session: ClientSession) -> SealedBox:
        """The same, with a key that is made where there is none."""
        return _box(await self._keys.made(owner_of_key(owner), session))

    async def destroy(self, owner: str, session: ClientSession) -> None:
        await self._keys.destroy(owner_of_key(owner), session)


def owner_of_key(owner: str) -> Owner:
    """Whose data key seals the money of a user, named by `User.id`."""
    return Owner(owner, _NAME, by="user")


def _box(key: DataKey) -> SealedBox:
    return SealedBox(key.key)
