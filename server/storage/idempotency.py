"""Replies to calls that had an idempotency key: collection `answers`, stored for a day, encrypted."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError

from server.core.clock import utc_now
from server.core.idempotency import AlreadyReplied, CallUnderWay, IdempotencyRecord
from server.security.encryption import Vault
from server.storage.driver import ClientSession, Database, insert
from server.storage.leases import LeaseBusy, Leases

ANSWERS = "answers"
KEPT = timedelta(hours=24)
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    ANSWERS: [IndexModel("createdAt", expireAfterSeconds=int(KEPT.total_seconds()))]
}


class IdempotencyStore:
    """Implements `core.idempotency.IdempotencyRecords`. Driver errors pass through."""

    def __init__(self, database: Database, leases: Leases, vault: Vault) -> None:
        self._records = database.collection(ANSWERS)
        self._leases = leases
        self._vault = vault

    @asynccontextmanager
    async def serving(self, name: str, wait: timedelta) -> AsyncIterator[None]:
        try:
            async with self._leases.acquire(f"answer/{name}", wait):
                yield
        except LeaseBusy:
            raise CallUnderWay from None

    async def find(self, name: str) -> IdempotencyRecord | None:
        document = await self._records.find_one({"_id": name})
        if document is None:
            return None
        if document["createdAt"] <= utc_now() - KEPT:  # MongoDB has not come to remove it yet
            await self._records.delete_one({"_id": name, "createdAt": document["createdAt"]})
            return None
        content = self._vault.open(document["answer"], place=_place(name))
        return IdempotencyRecord(document["request"], content)

    async def add(
        self, records: Sequence[tuple[str, IdempotencyRecord]], session: ClientSession | None = None
    ) -> None:
        documents = [
            {
                "_id": name,
                "request": record.request,
                "answer": self._vault.seal(record.content, place=_place(name)),
                "createdAt": utc_now(),
            }
            for name, record in records
        ]
        try:
            await insert(self._records, documents, session)
        except DuplicateKeyError:
            raise AlreadyReplied from None


def _place(name: str) -> str:
    return f"answers/{name}"
