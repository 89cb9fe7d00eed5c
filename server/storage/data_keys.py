"""Data keys: collection `data_keys`, one document an owner, wrapped by the key ring.

They live apart from what they seal, so that removing one ends every copy of that, backups included.
"""

import os
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import IndexModel

from server.core.clock import utc_now
from server.security.data_key import DataKey, Owner
from server.security.keys import KEY_BYTES
from server.security.ring import KeyRing
from server.storage import wrapped_keys
from server.storage.driver import ClientSession, Database
from server.storage.wrapped_keys import BY_RING_KEY, WrappedKeys

DATA_KEYS = "data_keys"
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    DATA_KEYS: [IndexModel(["userId", "owner"], unique=True), BY_RING_KEY]
}


class DataKeyStore:
    """Keeps, finds and destroys data keys. None is kept in memory: one that is destroyed is gone.

    Driver errors pass through.
    """

    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._keys = database.collection(DATA_KEYS)
        self._ring = ring

    async def of(self, owner: Owner) -> DataKey | None:
        """The owner's key. Raises MissingKey, or Undecipherable where it was changed or moved."""
        document = await self._keys.find_one(_query(owner))
        if document is None:
            return None
        key = self._ring.unwrap(wrapped_keys.wrapped(document), place=_place(document))
        return DataKey(document["_id"], owner, key)

    async def store(self, key: DataKey, session: ClientSession) -> None:
        """Keep a new key; the owner's former one is destroyed."""
        await self.destroy(key.owner, session)
        document = {"_id": key.id, **_query(key.owner), "createdAt": utc_now()}
        wrapped = self._ring.wrap(key.key, place=_place(document))
        await self._keys.insert_one({**document, **wrapped_keys.fields(wrapped)}, session=session)

    async def destroy(self, owner: Owner, session: ClientSession) -> None:
        await self._keys.delete_one(_query(owner), session=session)

    async def destroy_of_user(self, user_id: str, session: ClientSession) -> None:
        await self._keys.delete_many({"userId": user_id}, session=session)


def new_data_key(owner: Owner) -> DataKey:
    """A key that is not stored yet."""
    return DataKey(f"dk_{secrets.token_hex(16)}", owner, os.urandom(KEY_BYTES), stored=False)


def data_keys(database: Database) -> WrappedKeys:
    """All of them, for the rotation."""
    return WrappedKeys(database, DATA_KEYS, _place)


def _query(owner: Owner) -> dict[str, str]:
    return {"userId": owner.user_id, "owner": owner.name}


def _place(document: Mapping[str, Any]) -> str:
    return f"{DATA_KEYS}/{document['_id']}/{document['owner']}"
