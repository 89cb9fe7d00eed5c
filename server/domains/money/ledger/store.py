"""Ledgers in MongoDB: collection `money_ledgers`, a document a user; `money_rollups`, one a user and month.

A ledger: `_id` is `User.id`, `rev` rises with each change of the user's money, `sealed` has the sums of the
accounts. That of a deleted user keeps its `rev` for a while: a user who is restored must not see it fall.
A rollup: `_id` is `<User.id>/<month>`, `sealed` has the cells of the month's days.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from bson import ObjectId
from pymongo import ASCENDING, DeleteOne, IndexModel, ReturnDocument, UpdateOne

from server.core.clock import utc_now
from server.domains.money.ledger.month import StoredMonth
from server.domains.money.ledger.sums import SealedSums
from server.security.sealed_box import SealedBox
from server.storage.driver import ClientSession, Database, Document

LEDGERS = "money_ledgers"
ROLLUPS = "money_rollups"
ERASURES = "money_erasures"
_KEPT_SECONDS = 400 * 86_400  # of a deleted user's; longer than anybody can be restored
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    LEDGERS: [IndexModel("endedAt", expireAfterSeconds=_KEPT_SECONDS)],
}
MonthKey: TypeAlias = tuple[int, int]  # year and month


class ErasureStore:
    """Deleted users of whose money something is still stored, by `User.id`: collection `money_erasures`."""

    def __init__(self, database: Database) -> None:
        self._erasures = database.collection(ERASURES)

    async def add(self, owner: str, session: ClientSession) -> None:
        document = {"_id": ObjectId(owner), "requestedAt": utc_now()}
        await self._erasures.insert_one(document, session=session)

    async def next(self) -> str | None:
        """The one that has waited longest of those that nobody has tried yet; else that of the first try."""
        found = await self._erasures.find_one_and_update(
            {},
            {"$set": {"triedAt": utc_now()}},
            sort=[("triedAt", ASCENDING), ("requestedAt", ASCENDING)],
        )
        return str(found["_id"]) if found else None

    async def remove(self, owner: str) -> None:
        await self._erasures.delete_one({"_id": ObjectId(owner)})


class LedgerStore:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._ledgers = database.collection(LEDGERS)
        self._rollups = database.collection(ROLLUPS)
        self._erasures = database.collection(ERASURES)

    async def is_being_erased(self, owner: str, session: ClientSession) -> bool:
        """Whether what the user had before being deleted and restored is still there."""
        query = {"_id": ObjectId(owner)}
        return await self._erasures.find_one(query, session=session) is not None

    async def find(self, owner: str, session: ClientSession | None = None) -> Document | None:
        return await self._ledgers.find_one(_living(owner), session=session)

    async def advance(self, owner: str, session: ClientSession) -> Document | None:
        """The ledger with its next `rev`, which nobody else changes until the transaction ends."""
        found: Document | None = await self._ledgers.find_one_and_update(
            _living(owner),
            {"$inc": {"rev": 1}, "$set": {"at": utc_now()}},
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        return found

    async def create(self, owner: str, session: ClientSession) -> Document:
        """The ledger of a user who has none, or none any more, and who is locked: nobody else makes it."""
        made: Document | None = await self._ledgers.find_one_and_update(
            {"_id": ObjectId(owner)},
            {"$inc": {"rev": 1}, "$set": {"at": utc_now()}, "$unset": {"endedAt": ""}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        return made or {}

    async def end(self, owner: str, session: ClientSession) -> bool:
        """Leave nothing of a ledger but its `rev`; whether there was one."""
        result = await self._ledgers.update_one(
            _living(owner),
            {"$inc": {"rev": 1}, "$set": {"endedAt": utc_now()}, "$unset": {"sealed": ""}},
            session=session,
        )
        return result.matched_count == 1

    async def save(
        self, owner: str, sums: SealedSums, box: SealedBox, session: ClientSession
    ) -> None:
        sealed = box.seal(sums, place=f"{LEDGERS}/{owner}")
        await self._ledgers.update_one(
            {"_id": ObjectId(owner)}, {"$set": {"sealed": sealed}}, session=session
        )

    async def months(
        self, owner: str, keys: Sequence[MonthKey], box: SealedBox, session: ClientSession | None
    ) -> dict[MonthKey, StoredMonth]:
        """Those of these months that have cells."""
        wanted = (
            {"$in": [_id(owner, key) for key in keys]} if len(keys) > 1 else _id(owner, keys[0])
        )
        return await self._read(owner, {"_id": wanted}, box, session)

    async def months_between(
        self, owner: str, first: MonthKey, last: MonthKey, box: SealedBox,
        session: ClientSession | None,
    ) -> dict[MonthKey, StoredMonth]:  # fmt: skip
        """All that have cells, both ends included, in order."""
        query = {"_id": {"$gte": _id(owner, first), "$lte": _id(owner, last)}}
        return await self._read(owner, query, box, session)

    async def _read(
        self, owner: str, query: Document, box: SealedBox, session: ClientSession | None
    ) -> dict[MonthKey, StoredMonth]:
        documents = await self._rollups.find(query, session=session).to_list(None)
        return {
            _key(document["_id"]): box.open(
                document["sealed"], StoredMonth, place=f"{ROLLUPS}/{document['_id']}"
            )
            for document in documents
        }

    async def write_months(
        self,
        owner: str,
        months: Mapping[MonthKey, StoredMonth | None],
        box: SealedBox,
        session: ClientSession,
    ) -> None:
        """Replace months; None removes one."""
        writes: list[UpdateOne | DeleteOne] = []
        for key, month in months.items():
            name = _id(owner, key)
            if month is None:
                writes.append(DeleteOne({"_id": name}))
                continue
            sealed = box.seal(month, place=f"{ROLLUPS}/{name}")
            writes.append(UpdateOne({"_id": name}, {"$set": {"sealed": sealed}}, upsert=True))
        if writes:
            await self._rollups.bulk_write(writes, ordered=False, session=session)

    async def erase(self, owner: str) -> None:
        """Remove the months of a user whose ledger has ended."""
        await self._rollups.delete_many({"_id": {"$gte": f"{owner}/", "$lt": f"{owner}0"}})

    def opened(self, owner: str, document: Document, box: SealedBox) -> SealedSums:
        """The sealed part of a ledger; empty of one that was just made."""
        if "sealed" not in document:
            return SealedSums()
        return box.open(document["sealed"], SealedSums, place=f"{LEDGERS}/{owner}")


def _living(owner: str) -> Document:
    return {"_id": ObjectId(owner), "endedAt": {"$exists": False}}


def _id(owner: str, key: MonthKey) -> str:
    return f"{owner}/{key[0]:04}-{key[1]:02}"


def _key(name: str) -> MonthKey:
    year, month = name.rpartition("/")[2].split("-")
    return int(year), int(month)
