"""The collection `processes`: one document for each process of Finlink, with when it last reported.

All times are of MongoDB's clock.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from pymongo import IndexModel

from server.domains.system.model import Process
from server.storage.driver import Database

PROCESSES = "processes"
KEPT = timedelta(minutes=5)  # for which a process that no longer reports is missed
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    PROCESSES: [IndexModel("seenAt", expireAfterSeconds=int(KEPT.total_seconds()))]
}


class ProcessStore:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._processes = database.collection(PROCESSES)

    async def report(self, process: str, *, syncs: bool) -> None:
        """The process is there; with `syncs` also its sync engine."""
        fields = ["seenAt", "syncedAt"] if syncs else ["seenAt"]
        reported = [{"$set": dict.fromkeys(fields, "$$NOW")}]
        await self._processes.update_one({"_id": process}, reported, upsert=True)

    async def leave(self, process: str) -> None:
        """The process ends, and nobody is to miss it."""
        await self._processes.delete_one({"_id": process})

    async def all(self) -> list[Process]:
        """Those that have reported lately."""
        ages = {
            name: {"$divide": [{"$subtract": ["$$NOW", f"${field}"]}, 1000]}
            for name, field in (("seen", "seenAt"), ("synced", "syncedAt"))
        }
        lately = {"$expr": {"$gt": ["$seenAt", {"$subtract": ["$$NOW", _MILLISECONDS]}]}}
        found = await self._processes.find(lately, ages).to_list(None)
        return [Process(each["seen"], each["synced"]) for each in found]


_MILLISECONDS = KEPT // timedelta(milliseconds=1)
