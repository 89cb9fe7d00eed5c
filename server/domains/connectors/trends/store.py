"""Trends in MongoDB: collection `connector_trends`, a document for each minute and platform."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError

from server.core.clock import utc_now
from server.domains.connectors.trends.model import Counts, Minute, Trends, Window
from server.storage.driver import Database, Document

TRENDS = "connector_trends"
KEPT = timedelta(hours=48)
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    TRENDS: [IndexModel("minute", expireAfterSeconds=int(KEPT.total_seconds()))]
}


class TrendStore:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._trends = database.collection(TRENDS)
        self._readable = database.collection(TRENDS, allow_stale=True)

    async def add(self, minute: Minute, worker: str, batch: int) -> None:
        """Add what a worker counted, once, however often it is asked to.

        The document says which of the worker's batches was added last, so one of which nobody knows
        whether it arrived may be sent again. The numbers of a worker's batches must rise.
        """
        added = f"batches.{worker}"
        counts = minute.counts
        where = {
            "_id": {"minute": minute.at, "platform": minute.platform},
            added: {"$not": {"$gte": batch}},
        }
        update: Document = {
            "$inc": {
                "started": counts.started,
                "timed": counts.timed,
                "lateSeconds": counts.late_seconds,
                "succeeded": counts.succeeded,
                "partial": counts.partial,
                **{f"failures.{code}": count for code, count in counts.failures.items()},
            },
            "$max": {"lateSecondsMax": counts.late_seconds_max},
            "$set": {"minute": minute.at, added: batch},
        }
        if counts.connections is not None:
            update["$set"]["connections"] = counts.connections
        try:
            await self._trends.update_one(where, update, upsert=True)
        except DuplicateKeyError:  # another worker has just made it, or it has the batch already
            await self._trends.update_one(where, update)

    async def last(self, minutes: int) -> Trends:
        """The steps of the last minutes, the one under way included."""
        window = Window.of(utc_now(), minutes)
        return Trends(window.step, window.in_steps(await self.since(window.first)))

    async def since(self, moment: datetime) -> list[Minute]:
        """The minutes that began at that moment or later."""
        found = self._readable.find({"minute": {"$gte": moment}}, {"batches": 0})
        return [_minute(document) for document in await found.to_list(None)]


def _minute(document: Mapping[str, Any]) -> Minute:
    counts = Counts(
        started=document["started"],
        timed=document["timed"],
        late_seconds=document["lateSeconds"],
        late_seconds_max=document["lateSecondsMax"],
        succeeded=document["succeeded"],
        partial=document["partial"],
        failures=Counter(document.get("failures", {})),
        connections=document.get("connections"),
    )
    return Minute(document["minute"], document["_id"]["platform"], counts)
