"""Data keys: collection `data_keys`, one document an owner, wrapped by the key ring.

They live apart from what they seal, so that removing one ends every copy of that, backups included.
"""

import os
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pymongo import IndexModel

from server.core.clock import utc_now
from server.security.data_key import DataKey, OwnedBy, Owner
from server.security.keys import KEY_BYTES
from server.security.ring import KeyRing
from server.storage import wrapped_keys
from server.storage.driver import ClientSession, Database
from server.storage.wrapped_keys import BY_RING_KEY, WrappedKeys

DATA_KEYS = "data_keys"
_FIELDS: Sequence[OwnedBy] = get_args(OwnedBy)
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    DATA_KEYS: [
        *(
            IndexModel(
                [field, "owner"],
                name=f"of_{field}",
                unique=True,
                partialFilterExpression={field: {"$exists": True}},
            )
            for field in _FIELDS
        ),
        BY_RING_KEY,
    ]
}
# It had documents without `userId` as well, of which each owner's name could be there once.
RETIRED: Mapping[str, Sequence[str]] = {DATA_KEYS: ["userId_1_owner_1"]}


class KeyExists(Exception):
    """The owner has a data key already, and what it sealed must stay readable."""


class DataKeyStore:
    """Keeps, finds and destroys data keys. None is kept in memory: one that is destroyed is gone.

    Driver errors pass through.
    """

    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._keys = database.collection(DATA_KEYS)
        self._readable = database.collection(DATA_KEYS, allow_stale=True)
        self._ring = ring

    async def of(
        self, owner: Owner, session: ClientSession | None = None, *, allow_stale: bool = False
    ) -> DataKey | None:
        """The owner's key. Raises MissingKey, or Undecipherable where it was changed or moved.

        `allow_stale` is for lists whose documents may be read from a secondary as well.
        """
        keys = self._readable if allow_stale else self._keys
        document = await keys.find_one(_query(owner), session=session)
        if document is None:
            return None
        key = self._ring.unwrap(wrapped_keys.wrapped(document), place=_place(document))
        return DataKey(document["_id"], owner, key)

    async def made(self, owner: Owner, session: ClientSession) -> DataKey:
        """The owner's key, made where there is none: what one key sealed stays, so it is never replaced.

        Of two transactions that make it at once one is tried again, and finds it. Raises as `of`.
        """
        found = await self.of(owner, session)
        return found or await self.add(new_data_key(owner), session)

    async def add(self, key: DataKey, session: ClientSession) -> DataKey:
        """Keep a new key; safe to repeat. Raises KeyExists where its owner has another by now."""
        found = await self._keys.find_one(_query(key.owner), {"_id": 1}, session=session)
        if found is None:
            await self._insert(key, session)
        elif found["_id"] != key.id:
            raise KeyExists(key.owner.name)
        return key

    async def store(self, key: DataKey, session: ClientSession) -> None:
        """Keep a new key; the owner's former one is destroyed."""
        await self.destroy(key.owner, session)
        await self._insert(key, session)

    async def _insert(self, key: DataKey, session: ClientSession) -> None:
        document = {"_id": key.id, **_query(key.owner), "createdAt": utc_now()}
        wrapped = self._ring.wrap(key.key, place=_place(document))
        await self._keys.insert_one({**document, **wrapped_keys.fields(wrapped)}, session=session)

    async def destroy(self, owner: Owner, session: ClientSession) -> None:
        await self._keys.delete_one(_query(owner), session=session)

    async def destroy_of_user(
        self, user: str, session: ClientSession, by: OwnedBy = "userId"
    ) -> None:
        """Destroy all of a user's keys whose owner is named so."""
        await self._keys.delete_many({by: user}, session=session)


def new_data_key(owner: Owner) -> DataKey:
    """A key that is not stored yet."""
    return DataKey(f"dk_{secrets.token_hex(16)}", owner, os.urandom(KEY_BYTES), stored=False)


async def owners_without_key(database: Database, owners: Sequence[Owner]) -> list[Owner]:
    """Those of the owners that have no key."""
    keys = database.collection(DATA_KEYS)
    there: set[tuple[str, str]] = set()
    for by in _FIELDS:
        named = [owner for owner in owners if owner.by == by]
        if named:
            query = {
                by: {"$in": sorted({owner.user for owner in named})},
                "owner": {"$in": sorted({owner.name for owner in named})},
            }
            found = await keys.find(query, {by: 1, "owner": 1}).to_list(None)
            there |= {(each[by], each["owner"]) for each in found}
    return [owner for owner in owners if (owner.user, owner.name) not in there]


def data_keys(database: Database) -> WrappedKeys:
    """All of them, for the rotation."""
    return WrappedKeys(database, DATA_KEYS, _place)


def _query(owner: Owner) -> dict[str, str]:
    return {owner.by: owner.user, "owner": owner.name}


def _place(document: Mapping[str, Any]) -> str:
    place = f"{DATA_KEYS}/{document['_id']}/{document['owner']}"
    # By `userId`, the owner's name says whose it is.
    return f"{place}/{document['user']}" if "user" in document else place
