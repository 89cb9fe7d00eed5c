"""Money whose data key is missing, as commands and servers that start see it. Each user is an owner."""

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

from server.domains.money.ledger.store import LEDGERS, ROLLUPS, LedgerStore
from server.domains.money.sealing.service import owner_of_key
from server.kernel import SealedRows
from server.storage.data_keys import owners_without_key
from server.storage.driver import Database, Document

# The collections whose documents have `owner`; in most `sealed` is sealed.
OWNED = (
    "accounts", "categories", "transactions", "budgets", "transfer_marks", "transaction_origins",
    "account_streams", "account_values", "payees",
)  # fmt: skip
_OF_OWNER = "transaction_deletions"  # its `_id` is the owner
_AT_A_TIME = 1_000  # users whose keys are looked up
_SEALED: Document = {"endedAt": {"$exists": False}, "sealed": {"$exists": True}}


class SealedMoney(SealedRows):
    """Every user with money has a ledger, so those are looked at."""

    fields: ClassVar[Mapping[str, str]] = MappingProxyType(
        dict.fromkeys((LEDGERS, ROLLUPS, *OWNED), "sealed")
    )

    def __init__(self, database: Database) -> None:
        self._database = database
        self._store = LedgerStore(database)
        self._ledgers = database.collection(LEDGERS)

    async def count_unsealed(self) -> int:
        """No release kept money in clear."""
        return 0

    async def count_keyless(self, sample: int | None = None) -> int:
        if sample is None:
            return sum([1 async for _ in self._keyless()])
        stages = [{"$match": _SEALED}, {"$sample": {"size": sample}}, {"$project": {"_id": 1}}]
        return len(await self._without_key(await self._database.aggregate(self._ledgers, stages)))

    async def erase_keyless(self) -> int:
        """The ledger ends last: one whose erasure was broken off is found again."""
        erased = 0
        async for ledger in self._keyless():
            await self._erase_all(ledger["_id"])
            owner = str(ledger["_id"])
            erased += await self._database.transact(partial(self._store.end, owner))
        return erased

    async def _erase_all(self, owner: Any) -> None:
        months = {"_id": {"$gte": f"{owner}/", "$lt": f"{owner}0"}}  # 0 follows / in ASCII
        await self._database.collection(ROLLUPS).delete_many(months)
        await self._database.collection(_OF_OWNER).delete_one({"_id": owner})
        for name in OWNED:
            await self._database.collection(name).delete_many({"owner": owner})

    async def _keyless(self) -> AsyncIterator[Document]:
        after: Document = {}
        while True:
            found = self._ledgers.find({**_SEALED, **after}, {"_id": 1}).sort("_id", 1)
            ledgers = await found.limit(_AT_A_TIME).to_list(None)
            for ledger in await self._without_key(ledgers):
                yield ledger
            if len(ledgers) < _AT_A_TIME:
                return
            after = {"_id": {"$gt": ledgers[-1]["_id"]}}

    async def _without_key(self, ledgers: Sequence[Document]) -> list[Document]:
        owners = {owner_of_key(str(each["_id"])): each for each in ledgers}
        return [owners[owner] for owner in await owners_without_key(self._database, list(owners))]
