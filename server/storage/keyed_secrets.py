"""Secrets of Finlink's own: collection `keyed_secrets`, made once, wrapped by the key ring.

Values that are hashed or sealed with one of them must stay valid when the keys of the ring are replaced.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.core.clock import utc_now
from server.security.keys import KEY_BYTES
from server.security.ring import KeyRing
from server.storage import wrapped_keys
from server.storage.driver import Database, Document
from server.storage.wrapped_keys import BY_RING_KEY, WrappedKeys

KEYED_SECRETS = "keyed_secrets"
INDEXES: Mapping[str, Sequence[IndexModel]] = {KEYED_SECRETS: [BY_RING_KEY]}


class KeyedSecrets:
    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._secrets = database.collection(KEYED_SECRETS)
        self._ring = ring

    async def get(self, name: str) -> bytes:
        """The 32 bytes of this name, the same for every process; made by the first that asks.

        Raises MissingKey or Undecipherable where the ring is not the one that wrapped them.
        """
        place = _place({"_id": name})
        mine = wrapped_keys.fields(self._ring.wrap(os.urandom(KEY_BYTES), place=place))
        # One write, even if it changes nothing: the reply comes when a majority has what it found.
        change = {"$setOnInsert": {**mine, "createdAt": utc_now()}}
        try:
            document = await self._secrets.find_one_and_update(
                {"_id": name}, change, upsert=True, return_document=ReturnDocument.AFTER
            )
        except DuplicateKeyError:  # of two at once
            return await self.get(name)
        return self._open(cast("Document", document))  # an upsert always gives one

    async def find(self, name: str) -> bytes | None:
        """The same, but None where nobody has made it. Raises as `get`."""
        document = await self._secrets.find_one({"_id": name})
        return self._open(document) if document else None

    def _open(self, document: Document) -> bytes:
        return self._ring.unwrap(wrapped_keys.wrapped(document), place=_place(document))


def keyed_secrets(database: Database) -> WrappedKeys:
    """All of them, for the rotation."""
    return WrappedKeys(database, KEYED_SECRETS, _place)


def _place(document: Mapping[str, Any]) -> str:
    return f"{KEYED_SECRETS}/{document['_id']}"
