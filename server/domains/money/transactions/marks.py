"""Pairs that users have parted: collection `transfer_marks`. They are never paired or suggested again."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from server.domains.money.transactions.transfers import Pair
from server.storage.driver import ClientSession, Database
from server.storage.mapping import object_ids

MARKS = "transfer_marks"
PARTED = "parted"


class TransferMarks:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._marks = database.collection(MARKS)

    async def part(self, owner: str, pair: Pair, at: datetime, session: ClientSession) -> None:
        """Remember that these are no transfer."""
        outflow, inflow = map(object_ids, pair)
        await self._marks.update_one(
            {"_id": {"out": outflow, "in": inflow}},
            {"$set": {"owner": object_ids(owner), "state": PARTED, "at": at}},
            upsert=True,
            session=session,
        )

    async def parted(self, owner: str) -> set[Pair]:
        """All pairs that a user has parted."""
        query: Mapping[str, object] = {"owner": object_ids(owner), "state": PARTED}
        found: Sequence[dict[str, dict[str, object]]]
        found = await self._marks.find(query, {"_id": 1}).to_list(None)
        return {(str(each["_id"]["out"]), str(each["_id"]["in"])) for each in found}

    async def erase(self, owner: str) -> None:
        await self._marks.delete_many({"owner": object_ids(owner)})
