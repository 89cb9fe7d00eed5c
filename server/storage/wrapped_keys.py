"""Collections of keys that are stored wrapped by the key ring: fields `wrappedBy` and `wrapped`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bson import Binary
from pymongo import ASCENDING, IndexModel, UpdateOne

from server.security.ring import StoredKey, Wrapped
from server.storage.driver import Database, Document

BY_RING_KEY = IndexModel(["wrappedBy", "_id"])


class WrappedKeys:
    """One such collection, as the rotation sees it. Implements `rotation.Keys`."""

    def __init__(
        self, database: Database, name: str, place: Callable[[Mapping[str, Any]], str]
    ) -> None:
        """`place` says what the key of a document is bound to."""
        self._database = database
        self._collection = database.collection(name)
        self._place = place

    async def count_by_ring_key(self) -> dict[str, int]:
        """How many are wrapped by each key of a ring."""
        rows = await self._database.aggregate(
            self._collection, [{"$group": {"_id": "$wrappedBy", "n": {"$sum": 1}}}]
        )
        return {row["_id"]: row["n"] for row in rows}

    async def wrapped_by(self, key_id: str, after: str, limit: int) -> list[StoredKey]:
        found = self._collection.find({"wrappedBy": key_id, "_id": {"$gt": after}})
        documents = await found.sort("_id", ASCENDING).limit(limit).to_list(None)
        return [
            StoredKey(document["_id"], self._place(document), wrapped(document))
            for document in documents
        ]

    async def replace(self, changes: Sequence[tuple[StoredKey, Wrapped]]) -> int:
        writes = [
            UpdateOne(
                {"_id": before.id, "wrapped": Binary(before.wrapped.content)},
                {"$set": fields(after)},
            )
            for before, after in changes
        ]
        return (await self._collection.bulk_write(writes, ordered=False)).modified_count


def fields(key: Wrapped) -> Document:
    return {"wrappedBy": key.by, "wrapped": Binary(key.content)}


def wrapped(document: Mapping[str, Any]) -> Wrapped:
    return Wrapped(document["wrappedBy"], bytes(document["wrapped"]))
