"""Signing keys in MongoDB, collection `signing_keys`; what is revoked, collection `identity_revocations`."""

from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from server.core.clock import utc_now
from server.domains.identity.tokens.model import Revocation, StoredSigningKey
from server.security.ring import KeyRing
from server.storage import wrapped_keys
from server.storage.driver import ClientSession, Database, Document
from server.storage.wrapped_keys import BY_RING_KEY, WrappedKeys

SIGNING_KEYS = "signing_keys"
REVOCATIONS = "identity_revocations"
_BY_MOMENT = "by_moment"
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    SIGNING_KEYS: [IndexModel(["algorithm", "number"], unique=True), BY_RING_KEY],
    REVOCATIONS: [
        IndexModel(["at", "_id"], name=_BY_MOMENT),
        IndexModel("expiresAt", expireAfterSeconds=0),
    ],
}

_READ_AT_ONCE = 1000


class NumberTaken(Exception):
    """Another process has made the key of this number."""


class SigningKeyStore:
    """Driver errors pass through."""

    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._keys = database.collection(SIGNING_KEYS)
        self._ring = ring

    async def all(
        self, algorithm: str, session: ClientSession | None = None
    ) -> list[StoredSigningKey]:
        """The keys of an algorithm in the order of their numbers, still sealed."""
        found = self._keys.find({"algorithm": algorithm}, session=session)
        documents = await found.sort("number", ASCENDING).to_list(None)
        return [
            StoredSigningKey(
                document["_id"],
                document["algorithm"],
                document["number"],
                document["signsFrom"],
                wrapped_keys.wrapped(document),
            )
            for document in documents
        ]

    def seal(
        self, key_id: str, algorithm: str, number: int, signs_from: datetime, private: bytes
    ) -> StoredSigningKey:
        """A key that is not stored yet."""
        place = _place({"_id": key_id, "algorithm": algorithm})
        sealed = self._ring.wrap(private, place=place)
        return StoredSigningKey(key_id, algorithm, number, signs_from, sealed)

    def open(self, key: StoredSigningKey) -> bytes:
        """The private half. Raises MissingKey, or Undecipherable where it was changed or moved."""
        place = _place({"_id": key.id, "algorithm": key.algorithm})
        return self._ring.unwrap(key.sealed, place=place)

    async def add(self, key: StoredSigningKey, session: ClientSession) -> None:
        """Raises NumberTaken."""
        document = {
            "_id": key.id,
            "algorithm": key.algorithm,
            "number": key.number,
            "signsFrom": key.signs_from,
            "createdAt": utc_now(),
            **wrapped_keys.fields(key.sealed),
        }
        try:
            await self._keys.insert_one(document, session=session)
        except DuplicateKeyError:
            raise NumberTaken from None

    async def remove(self, key_ids: Sequence[str], session: ClientSession | None = None) -> None:
        await self._keys.delete_many({"_id": {"$in": list(key_ids)}}, session=session)


def signing_keys(database: Database) -> WrappedKeys:
    """All of them, for the rotation of the key ring."""
    return WrappedKeys(database, SIGNING_KEYS, _place)


def _place(document: Mapping[str, Any]) -> str:
    return f"{SIGNING_KEYS}/{document['algorithm']}/{document['_id']}"


class RevocationStore:
    """Driver errors pass through.

    It is read from the primary, also where the URI prefers others: a secondary that is behind would bring
    a session back to life.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._revocations = database.collection(REVOCATIONS)

    async def add(self, revocation: Revocation, session: ClientSession) -> None:
        fields: Document = {
            "kind": revocation.kind,
            "of": {"$literal": revocation.of},
            "expiresAt": revocation.expires_at,
            # By MongoDB's clock, whatever that of this host says; only a pipeline can read it.
            "at": "$$NOW",
        }
        if revocation.before is not None:
            fields["before"] = revocation.before
        await self._revocations.update_one(
            {"_id": ObjectId()}, [{"$set": fields}], upsert=True, session=session
        )

    async def ids_since(self, at: datetime | None) -> Sequence[Hashable]:
        """Of those written at a moment of MongoDB's or later; None is all.

        One document of all ids, read from the index alone: of 10,000 it takes a tenth of what they
        themselves take.
        """
        matched: Document = {} if at is None else {"at": {"$gte": at}}
        grouped = {"$group": {"_id": None, "ids": {"$push": "$_id"}}}
        found = await self._database.aggregate(
            self._revocations, [{"$match": matched}, grouped], hint=_BY_MOMENT
        )
        return found[0]["ids"] if found else []

    async def get(
        self, ids: Sequence[Hashable]
    ) -> AsyncIterator[list[tuple[datetime, Revocation]]]:
        """Those that are still there, each with the moment of MongoDB's at which it was written.

        They come some at a time, so that calls get their turn in between.
        """
        for start in range(0, len(ids), _READ_AT_ONCE):
            some = list(ids[start : start + _READ_AT_ONCE])
            documents = await self._revocations.find({"_id": {"$in": some}}).to_list(None)
            yield [(document["at"], _revocation(document)) for document in documents]


def _revocation(document: Document) -> Revocation:
    return Revocation(
        document["kind"], document["of"], document["expiresAt"], document.get("before")
    )
