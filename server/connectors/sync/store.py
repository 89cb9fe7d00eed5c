"""The sync engine's writes: claiming due connectors, keeping claims, finishing runs.

Every write of a run carries the fence of its claim and is refused once another claim was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, ReturnDocument

from server.clock import utc_now
from server.connectors.documents import connector, count_run, push_error, run_document
from server.connectors.model import LIVE, Connector, ErrorEntry, HistoryEntry, Run
from server.connectors.store import CONNECTORS
from server.storage.driver import Database, Document

CLAIM_LIFE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished run changes on its connector."""

    entry: HistoryEntry
    failures: int  # failed runs in a row, this one included
    status: str  # the connection's status afterwards
    next_sync_at: datetime | None  # None: it does not sync by itself
    error: ErrorEntry | None = None


class SyncStore:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._connectors = database.collection(CONNECTORS)

    async def request_run(self, connector_id: str, run: Run) -> Connector | None:
        """Want `run` now, unless one is wanted or under way; None where that is so, or it is not live."""
        now = utc_now()
        document = await self._connectors.find_one_and_update(
            {
                "_id": ObjectId(connector_id),
                "connectionStatus": {"$in": LIVE},
                "sync.paused": {"$ne": True},
                "sync.run": {"$exists": False},
            },
            {"$set": {"sync.run": run_document(run), "sync.dueAt": now, "updatedAt": now}},
            return_document=ReturnDocument.AFTER,
        )
        return connector(document) if document else None

    async def claim(self) -> Connector | None:
        """Take the connector that has been due longest, for CLAIM_LIFE; None where none is due.

        The connector comes as it was before, so that a run somebody else left is seen, but with the
        fence of the new claim.
        """
        now = utc_now()
        document = await self._connectors.find_one_and_update(
            {"sync.dueAt": {"$lte": now}, "connectionStatus": {"$in": LIVE}},
            {"$set": {"sync.dueAt": now + CLAIM_LIFE}, "$inc": {"sync.fence": 1}},
            sort=[("sync.dueAt", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
        return connector(document) if document else None

    async def start(self, claimed: Connector, run: Run, abandoned: HistoryEntry | None) -> bool:
        """Put `run` under way, writing the run that was left behind into the history."""
        update: dict[str, Document] = {
            "$set": {"sync.run": run_document(run), "updatedAt": utc_now()}
        }
        if abandoned is not None:
            count_run(update, abandoned)
        return await self._fenced(claimed, update)

    async def stand_still(self, claimed: Connector, abandoned: HistoryEntry | None) -> bool:
        """Give a claim back for good: nothing is to run, as its user is not active or wants no syncs."""
        update: dict[str, Document] = {
            "$unset": {"sync.run": "", "sync.dueAt": "", "connectionDetails.nextSyncAt": ""}
        }
        if abandoned is not None:
            count_run(update, abandoned)
        return await self._fenced(claimed, update)

    async def keep(self, claimed: Connector) -> bool:
        """Extend the claim; False where it is lost."""
        return await self._fenced(claimed, {"$set": {"sync.dueAt": utc_now() + CLAIM_LIFE}})

    async def release(self, claimed: Connector, run: Run) -> bool:
        """Give the run back unfinished, for another worker to start at once under the same id."""
        waiting = Run(run.sync_id, run.data_types, run.requested_at)
        return await self._fenced(
            claimed, {"$set": {"sync.run": run_document(waiting), "sync.dueAt": utc_now()}}
        )

    async def finish(self, claimed: Connector, outcome: Outcome) -> bool:
        """End the run: history, totals, status and the next time, all at once."""
        changes: Document = {
            "connectionStatus": outcome.status,
            "sync.failures": outcome.failures,
            "updatedAt": utc_now(),
        }
        removed: Document = {"sync.run": ""}
        if outcome.next_sync_at is not None:
            changes["connectionDetails.nextSyncAt"] = outcome.next_sync_at
            changes["sync.dueAt"] = outcome.next_sync_at
        else:
            removed |= {"connectionDetails.nextSyncAt": "", "sync.dueAt": ""}
        if outcome.entry.status != "failed":
            changes["connectionDetails.lastSyncAt"] = outcome.entry.synced_at
        if outcome.entry.status == "success":
            changes["sync.lastSuccessAt"] = outcome.entry.synced_at
        update = {"$set": changes, "$unset": removed}
        count_run(update, outcome.entry)
        if outcome.error is not None:
            push_error(update, outcome.error)
        return await self._fenced(claimed, update)

    async def set_settings(
        self, before: Connector, changes: Mapping[str, Any], next_sync_at: datetime | None
    ) -> Connector | None:
        """Store settings by document path; `next_sync_at` is when it syncs next by itself, if it does.

        None where the connector changed meanwhile: read it again.
        """
        update: dict[str, Document] = {"$set": {**changes, "updatedAt": utc_now()}}
        if before.live and before.run is None:
            if next_sync_at is None:
                update["$unset"] = {"connectionDetails.nextSyncAt": "", "sync.dueAt": ""}
            else:
                update["$set"] |= {
                    "connectionDetails.nextSyncAt": next_sync_at,
                    "sync.dueAt": next_sync_at,
                }
        document = await self._connectors.find_one_and_update(
            {
                "_id": ObjectId(before.id),
                "updatedAt": before.updated_at,
                "sync.run": {"$exists": before.run is not None},
            },
            update,
            return_document=ReturnDocument.AFTER,
        )
        return connector(document) if document else None

    async def _fenced(self, claimed: Connector, update: Mapping[str, Any]) -> bool:
        result = await self._connectors.update_one(
            {"_id": ObjectId(claimed.id), "sync.fence": claimed.fence}, update
        )
        return result.matched_count == 1
