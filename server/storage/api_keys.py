"""API keys in MongoDB: collection `api_keys`, one document a key, its digest instead of the key."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from server.core.access import ApiKey, Scope, digest
from server.core.clock import utc_now
from server.core.errors import Unauthenticated
from server.storage.driver import ClientSession, Database

API_KEYS = "api_keys"
INDEXES: Mapping[str, Sequence[IndexModel]] = {API_KEYS: [IndexModel("name", unique=True)]}

# For how long a revoked key may still be taken, and a server that had no keys stay open.
FRESH_SECONDS = 2.0


class NameTaken(Exception):
    """There is a key of this name, revoked or not."""


class ApiKeyStore:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._keys = database.collection(API_KEYS, allow_stale=True)

    async def add(self, key: ApiKey, session: ClientSession | None = None) -> ApiKey:
        """Raises NameTaken."""
        document = {
            "_id": key.digest,
            "name": key.name,
            "scope": key.scope.name.lower(),
            "createdAt": key.created_at or utc_now(),
        }
        try:
            await self._keys.insert_one(document, session=session)
        except DuplicateKeyError:
            raise NameTaken(key.name) from None
        return key

    async def all(self) -> list[ApiKey]:
        """In the order of their names, those revoked included."""
        documents = await self._keys.find({}).sort("name", ASCENDING).to_list(None)
        return [_key(document) for document in documents]

    async def revoke(self, name: str, session: ClientSession | None = None) -> ApiKey | None:
        """The key as it was; None where there is none of this name. It stays in the list."""
        document = await self._keys.find_one_and_update(
            {"name": name},
            [{"$set": {"revokedAt": {"$ifNull": ["$revokedAt", "$$NOW"]}}}],
            session=session,
        )
        return _key(document) if document else None

    async def remove_all(self, session: ClientSession | None = None) -> int:
        """How many there were, those revoked included."""
        return (await self._keys.delete_many({}, session=session)).deleted_count


class CurrentKeys:
    """Implements `access.Keys`: the environment's and MongoDB's, read again when they are stale.

    Once a key has been made calls need one, also when all are revoked, until all are removed.
    """

    def __init__(
        self, store: ApiKeyStore, fixed: Sequence[ApiKey], *, closed: bool = False
    ) -> None:
        """`closed`: calls need a key also where there is none, as in production."""
        self._store = store
        self._closed = closed
        self._fixed = {key.digest: key for key in fixed}
        self._stored: dict[str, ApiKey] = {}
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    @property
    def are_fresh(self) -> bool:
        return time.monotonic() - self._read_at < FRESH_SECONDS

    async def read(self) -> None:
        """One read for all who wait, and one failure: after one another each would wait for MongoDB."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
            # Also where nobody waits for it any more.
            self._reading.add_done_callback(lambda task: task.cancelled() or task.exception())
        done, _ = await asyncio.wait({self._reading})
        done.pop().result()

    @property
    def exist(self) -> bool:
        """Whether there is any key, revoked ones included."""
        return bool(self._fixed or self._stored)

    @property
    def guard(self) -> bool:
        """Whether calls need a credential."""
        return self._closed or self.exist

    def find(self, key: str) -> ApiKey:
        found = self._fixed.get(digest(key)) or self._stored.get(digest(key))
        if found is None or found.revoked_at is not None:
            raise Unauthenticated("The API key is unknown or revoked")
        return found

    async def _read(self) -> None:
        self._stored = {key.digest: key for key in await self._store.all()}
        self._read_at = time.monotonic()


def _key(document: Mapping[str, Any]) -> ApiKey:
    return ApiKey(
        document["name"],
        Scope[document["scope"].upper()],
        document["_id"],
        document["createdAt"],
        document.get("revokedAt"),
    )
