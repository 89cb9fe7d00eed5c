"""Whose money can be recounted, and when a sample was last made: collection `money_checks`."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bson import ObjectId
from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from server.domains.money.accounts.store import ACCOUNTS
from server.domains.money.ledger.store import ERASURES, LEDGERS
from server.domains.money.transactions.documents import TRANSACTIONS
from server.domains.money.transactions.store import OF_OWNER
from server.storage.driver import ClientSession, Database, Document

CHECKS = "money_checks"
ORIGINS = "transaction_origins"  # of the poster
_SAMPLE = "sample"
_LIVING: Document = {"endedAt": {"$exists": False}}
_BEING_ERASED: Document = {"deletingAt": {"$exists": True}}


@dataclass(frozen=True, slots=True)
class Sampled:
    """The last sample."""

    at: datetime
    users: int
    differences: int


class CheckStore:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ledgers = database.collection(LEDGERS)
        self._accounts = database.collection(ACCOUNTS)
        self._erasures = database.collection(ERASURES)
        self._transactions = database.collection(TRANSACTIONS)
        self._origins = database.collection(ORIGINS)
        self._checks = database.collection(CHECKS)

    async def count(self) -> int:
        """Roughly how many users have money."""
        return int(await self._ledgers.estimated_document_count())

    async def owners(self) -> AsyncIterator[str]:
        """All users who have money, by `User.id`."""
        cursor = self._ledgers.find(_LIVING, {"_id": 1}).sort("_id", ASCENDING)
        async for document in cursor:
            yield str(document["_id"])

    async def some(self, count: int) -> list[str]:
        """So many of them at random, or all if there are fewer."""
        stages = [{"$match": _LIVING}, {"$sample": {"size": count}}, {"$project": {"_id": 1}}]
        return [str(each["_id"]) for each in await self._database.aggregate(self._ledgers, stages)]

    async def strangers(self) -> list[str]:
        """Owners of transactions who have no ledger, and whose money does not wait to be erased."""
        ledger = [{"$match": _LIVING}, {"$project": {"_id": 1}}]
        stages: list[Document] = [
            {"$group": {"_id": "$owner"}},
            _joined(LEDGERS, ledger),
            {"$match": {"found": []}},
            _joined(ERASURES, [{"$project": {"_id": 1}}]),
            {"$match": {"found": []}},
        ]
        found = await self._database.aggregate(
            self._transactions, stages, hint=OF_OWNER, snapshot=True
        )
        return [str(each["_id"]) for each in found]

    async def waiting(self) -> tuple[int, datetime | None]:
        """How many deleted users and accounts are still to be erased, and since when the first is."""
        users = await self._erasures.count_documents({})
        accounts = await self._accounts.count_documents(_BEING_ERASED)
        user = await self._erasures.find_one({}, sort=[("requestedAt", ASCENDING)])
        account = await self._accounts.find_one(_BEING_ERASED, sort=[("deletingAt", ASCENDING)])
        times = [user["requestedAt"]] if user else []
        times += [account["deletingAt"]] if account else []
        return users + accounts, min(times, default=None)

    async def with_origin(self, owner: str, session: ClientSession) -> set[str]:
        """The transactions of a user that rows of a bank are known to be."""
        query, only = {"owner": ObjectId(owner)}, {"_id": 0, "transactionId": 1}
        cursor = self._origins.find(query, only, session=session)
        return {str(each["transactionId"]) async for each in cursor}

    async def take_turn(self, now: datetime, pause: timedelta) -> bool:
        """Whether this process makes the next sample; if it dies, there is none until the one after."""
        due = {"_id": _SAMPLE, "startedAt": {"$lte": now - pause}}
        try:
            await self._checks.update_one(due, {"$set": {"startedAt": now}}, upsert=True)
        except DuplicateKeyError:  # it is there and not due
            return False
        return await self._started(now)

    async def _started(self, now: datetime) -> bool:
        found = await self._checks.find_one({"_id": _SAMPLE})
        return found is not None and bool(found["startedAt"] == now)

    async def sampled(self, found: Sampled) -> None:
        values = {"at": found.at, "users": found.users, "differences": found.differences}
        await self._checks.update_one({"_id": _SAMPLE}, {"$set": values})

    async def last(self) -> Sampled | None:
        found = await self._checks.find_one({"_id": _SAMPLE, "at": {"$exists": True}})
        return Sampled(found["at"], found["users"], found["differences"]) if found else None


def _joined(collection: str, stages: Sequence[Document]) -> Document:
    return {
        "$lookup": {
            "from": collection,
            "localField": "_id",
            "foreignField": "_id",
            "pipeline": list(stages),
            "as": "found",
        }
    }
