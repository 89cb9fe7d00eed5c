"""The sync engine's writes: claiming due connectors, keeping claims, finishing runs.

A claim puts a run under way in one atomic step, on MongoDB's clock, and raises the connector's fence.
Every later write of the run names fence and run, and is refused once either has changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, ReturnDocument

from server.domains.connectors import expressions as x
from server.domains.connectors.connections.store import CLAIMED_INDEX, CONNECTORS, DUE_INDEX
from server.domains.connectors.documents import connector
from server.domains.connectors.model import (
    ABANDONED,
    CANCELLED,
    ERRORS_KEPT,
    FAILURES_TO_ERROR,
    LIVE,
    MAX_INTERVAL,
    Answered,
    Connector,
    DataTypeCount,
    ErrorEntry,
    HistoryEntry,
    Run,
)
from server.storage.driver import Database, Document, Session
from server.storage.persistence import persistently

CLAIM_LIFE = timedelta(seconds=15)
_CANCELLED_MESSAGE = "The sync was cancelled"
_ABANDONED_MESSAGE = "The worker of this run stopped; the run was taken over"


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


# A long history takes longer to read than all else that a run needs.
_CLAIMED = {"syncHistory": {"$slice": 1}, "errors": 0}
_CLAIM_ENDS = {"$add": [x.NOW, _milliseconds(CLAIM_LIFE)]}
_DUE: Document = {
    "sync.dueAt": {"$type": "date"},
    "$expr": {"$lte": ["$sync.dueAt", x.NOW]},
    "connectionStatus": {"$in": LIVE},
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished run changes on its connector."""

    entry: HistoryEntry
    failures: int  # failed runs in a row, this one included
    status: str  # the connection's status afterwards
    error: ErrorEntry | None = None
    outages: int = 0  # runs in a row that an outage cut short, this one included
    owed: Sequence[str] = ()  # data types that the next run is about, where not about all
    retry_in: timedelta | None = None  # the next run, where that is before the interval is over
    not_within: timedelta = timedelta(0)  # as long as the platform asked to be left alone
    answers: Mapping[str, Answered] = field(
        default_factory=dict
    )  # those that were new, by data type


class SyncStore:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._connectors = database.collection(CONNECTORS)

    async def request_run(
        self,
        connector_id: str,
        sync_id: str,
        data_types: list[str],
        session: Session | None = None,
    ) -> Connector | None:
        """Want a run of `data_types`, or of what the settings say, now.

        None where a run is wanted or under way, or the connector is not live.
        """
        types = data_types or {"$ifNull": ["$metadata.dataTypes", "$metadata.permissions"]}
        document = await self._connectors.find_one_and_update(
            {
                "_id": ObjectId(connector_id),
                "connectionStatus": {"$in": LIVE},
                "sync.paused": {"$ne": True},
                "sync.run": {"$exists": False},
            },
            [
                {
                    "$set": {
                        "sync.run": {"syncId": sync_id, "dataTypes": types, "requestedAt": x.NOW},
                        "sync.dueAt": x.NOW,
                        "updatedAt": x.NOW,
                    }
                }
            ],
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        return connector(document) if document else None

    async def claim(self, sync_id: str, *, look_for_left: bool = True) -> Connector | None:
        """Take the connector that has been due longest and put its run under way; None if none is due.

        `sync_id` names the run where it has no name yet. A run that another worker left is written
        off as abandoned, and counts as failed; such connectors come first where `look_for_left`, as
        their turn had come before. Of history and errors the connector has the newest entry of history
        alone. The connector comes without a run where it turned out that nothing is to run: it
        stands still, or has failed too often and rests first.
        """
        abandoned = x.RUN_STARTED
        failures = x.when(
            abandoned, x.plus_one("sync.failures"), {"$ifNull": ["$sync.failures", 0]}
        )
        # What follows reads the fields of this stage.
        judged = {"sync.failures": failures, "sync.wasAbandoned": abandoned}
        worn_out = {"$and": ["$sync.wasAbandoned", {"$gte": ["$sync.failures", FAILURES_TO_ERROR]}]}
        wanted = {"$or": [x.HAS_RUN, x.SYNCS_BY_ITSELF]}
        runs = {"$and": [wanted, {"$not": [x.IS_PAUSED]}, {"$not": [worn_out]}]}
        # A run that was deferred or handed back goes on with what it has done.
        goes_on = {"$and": [x.HAS_RUN, {"$not": ["$sync.wasAbandoned"]}]}
        run = {
            "syncId": x.when(goes_on, "$sync.run.syncId", sync_id),
            "dataTypes": {
                "$ifNull": [
                    "$sync.run.dataTypes",
                    "$sync.owed",
                    "$metadata.dataTypes",
                    "$metadata.permissions",
                ]
            },
            "requestedAt": {"$ifNull": ["$sync.run.requestedAt", x.NOW]},
            "beganAt": x.NOW,
            "startedAt": x.NOW,
        }
        kept = {
            "done": {"$ifNull": ["$sync.run.done", []]},
            "deferrals": {"$ifNull": ["$sync.run.deferrals", 0]},
            "beganAt": {"$ifNull": ["$sync.run.beganAt", x.NOW]},
        }
        run_on = x.when(goes_on, {"$mergeObjects": [run, kept]}, run)
        rests_until = {"$add": [x.NOW, x.INTERVAL_MS]}
        rests = {"$and": [worn_out, x.SYNCS_BY_ITSELF]}
        entry = x.broken_off(ABANDONED, _ABANDONED_MESSAGE)
        error = {"errorCode": ABANDONED, "errorMessage": _ABANDONED_MESSAGE, "occurredAt": x.NOW}
        update: list[Document] = [
            {"$set": judged},
            {
                "$set": {
                    **x.count_run_if("$sync.wasAbandoned", entry),
                    "errors": x.when(
                        "$sync.wasAbandoned",
                        x.prepended("errors", error, ERRORS_KEPT),
                        "$errors",
                    ),
                    "connectionStatus": x.when(worn_out, "error", "$connectionStatus"),
                    "sync.fence": x.plus_one("sync.fence"),
                    "sync.dueAt": x.when(runs, _CLAIM_ENDS, x.keep_or_remove(rests, rests_until)),
                    "connectionDetails.nextSyncAt": x.when(
                        runs,
                        {"$ifNull": ["$connectionDetails.nextSyncAt", "$$REMOVE"]},
                        x.keep_or_remove(rests, rests_until),
                    ),
                    "sync.run": x.keep_or_remove(runs, run_on),
                    # Where another tool began the session.
                    "session.checkAt": {
                        "$ifNull": ["$session.checkAt", "$credentials.tokenExpiresAt", "$$REMOVE"]
                    },
                    "updatedAt": x.NOW,
                }
            },
            {"$unset": "sync.wasAbandoned"},
        ]
        left = {**_DUE, "sync.run.startedAt": {"$exists": True}}
        looks = [(left, CLAIMED_INDEX), (_DUE, DUE_INDEX)]
        for where, index in looks if look_for_left else looks[1:]:
            document = await self._connectors.find_one_and_update(
                where,
                update,
                projection=_CLAIMED,
                sort=[("sync.dueAt", ASCENDING)],
                hint=index,
                return_document=ReturnDocument.AFTER,
            )
            if document:
                return connector(document)
        return None

    async def due_since(self) -> datetime | None:
        """Since when the connector that has been due longest waits for a worker; None if none is due."""
        document = await self._connectors.find_one(
            _DUE, {"sync.dueAt": 1}, sort=[("sync.dueAt", ASCENDING)], hint=DUE_INDEX
        )
        since: datetime | None = document["sync"]["dueAt"] if document else None
        return since

    async def claim_check(self, lease: timedelta) -> Connector | None:
        """Take the connector whose session has been waiting longest to be looked after, if one does.

        It comes again after `lease`, unless its session is renewed or ended before.
        """
        again = {"$add": [x.NOW, _milliseconds(lease)]}
        document = await self._connectors.find_one_and_update(
            {
                "session.checkAt": {"$type": "date"},
                "$expr": {"$lte": ["$session.checkAt", x.NOW]},
                "connectionStatus": {"$in": LIVE},
            },
            [{"$set": {"session.checkAt": again}}],
            sort=[("session.checkAt", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
        return connector(document) if document else None

    async def keep(self, claimed: Connector, done: Sequence[DataTypeCount] = ()) -> bool:
        """Extend the claim, and say what the run has fetched so far; False where the claim is lost."""
        fields: Document = {"sync.dueAt": _CLAIM_ENDS}
        if done:
            fields["sync.run.done"] = _the_longer(done)
        return await self._fenced(claimed, fields)

    async def note_kept(
        self,
        claimed: Connector,
        data_type: str,
        digest: str | None,
        done: Sequence[DataTypeCount],
        session: Session,
    ) -> bool:
        """Say what the run has stored, where that is all of a data type, in the transaction that stores.

        It extends the claim; False where it is lost. Without a digest there is more to store.
        """
        fields: Document = {
            "sync.dueAt": _CLAIM_ENDS,
            f"sync.kept.{data_type}": digest or "$$REMOVE",
        }
        if digest is not None:
            fields["sync.run.done"] = x.count_documents(done)
        return await self._fenced(claimed, fields, session)

    async def release(self, claimed: Connector, done: Sequence[DataTypeCount]) -> bool:
        """Give the run back unfinished, for another worker to go on with at once under the same id.

        It goes on with what is not `done`.
        """
        fields: Document = {
            "sync.run.startedAt": "$$REMOVE",
            "sync.run.done": _the_longer(done),
            "sync.dueAt": x.NOW,
            "sync.fence": x.plus_one("sync.fence"),
        }
        return await self._fenced(claimed, fields)

    async def defer(
        self, claimed: Connector, wait: timedelta, done: Sequence[DataTypeCount]
    ) -> bool:
        """Let the run wait and go on later, by any worker, with what is not `done` yet."""
        fields: Document = {
            "sync.run.startedAt": "$$REMOVE",
            "sync.run.done": _the_longer(done),
            "sync.run.deferrals": x.plus_one("sync.run.deferrals"),
            "sync.dueAt": {"$add": [x.NOW, _milliseconds(wait)]},
            "sync.fence": x.plus_one("sync.fence"),
        }
        return await persistently(lambda: self._fenced(claimed, fields))

    async def cancel(
        self, connector_id: str, sync_id: str, session: Session | None = None
    ) -> Connector | None:
        """End a run that is wanted or under way; None where it is not. Its worker writes no more."""
        next_run = x.keep_or_remove(x.SYNCS_BY_ITSELF, {"$add": [x.NOW, x.INTERVAL_MS]})
        document = await self._connectors.find_one_and_update(
            {"_id": ObjectId(connector_id), "sync.run.syncId": sync_id},
            [
                {
                    "$set": {
                        **x.count_run(x.broken_off(CANCELLED, _CANCELLED_MESSAGE), "failed"),
                        "connectionDetails.nextSyncAt": next_run,
                        "sync.dueAt": next_run,
                        "sync.fence": x.plus_one("sync.fence"),
                        "sync.run": "$$REMOVE",
                        "sync.owed": "$$REMOVE",
                        "updatedAt": x.NOW,
                    }
                }
            ],
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        return connector(document) if document else None

    async def finish(
        self, claimed: Connector, outcome: Outcome, session: Session | None = None
    ) -> bool:
        """End the run: history, totals, status and the next time, all at once.

        The next time is by the settings of this moment, later the more runs have failed in a row, and
        sooner where an outage cut this one short.
        """
        pause: Any = x.INTERVAL_MS
        if outcome.retry_in is not None:
            pause = {"$min": [x.INTERVAL_MS, _milliseconds(outcome.retry_in)]}
        if outcome.status == "error":
            doublings = min(outcome.failures - FAILURES_TO_ERROR + 1, 6)
            longest = int(MAX_INTERVAL.total_seconds() * 1000)
            slower = {"$min": [{"$multiply": [x.INTERVAL_MS, 2**doublings]}, longest]}
            pause = {"$max": [x.INTERVAL_MS, slower]}
        pause = {"$max": [pause, _milliseconds(outcome.not_within)]}
        next_run = x.keep_or_remove(x.SYNCS_BY_ITSELF, {"$add": [x.NOW, pause]})
        fields: Document = {
            **x.count_run(x.history_entry(outcome.entry), outcome.entry.status),
            "connectionStatus": outcome.status,
            "connectionDetails.nextSyncAt": next_run,
            "sync.dueAt": next_run,
            "sync.failures": outcome.failures,
            "sync.outages": outcome.outages,
            "sync.owed": list(outcome.owed) or "$$REMOVE",
            "sync.run": "$$REMOVE",
            "updatedAt": x.NOW,
        }
        for data_type, answer in outcome.answers.items():
            said = {"digest": answer.digest, "kept": answer.kept, "records": answer.records}
            fields[f"sync.answers.{data_type}"] = {"$literal": said}
        if outcome.entry.status != "failed":
            fields["connectionDetails.lastSyncAt"] = outcome.entry.synced_at
        if outcome.entry.status == "success":
            fields["sync.lastSuccessAt"] = outcome.entry.synced_at
        if outcome.error is not None:
            fields |= x.add_error(outcome.error)
        return await self._fenced(claimed, fields, session)

    async def set_settings(
        self,
        connector_id: str,
        fields: Document,
        data_types: list[str],
        session: Session | None = None,
    ) -> Connector | None:
        """Store settings by document path, and by them when the connector syncs next.

        None where there is no such connector, or `data_types` are not all granted to it.
        """
        next_run = {
            "$max": [
                x.NOW,
                {"$add": [{"$ifNull": ["$connectionDetails.lastSyncAt", x.NOW]}, x.INTERVAL_MS]},
            ]
        }
        idle = {"$and": [x.IS_LIVE, {"$not": [x.HAS_RUN]}]}
        granted: Document = {"metadata.permissions": {"$all": data_types}} if data_types else {}
        document = await self._connectors.find_one_and_update(
            {"_id": ObjectId(connector_id), **granted},
            [
                {"$set": {**x.literals(fields), "sync.owed": "$$REMOVE", "updatedAt": x.NOW}},
                {
                    "$set": {
                        # A run under way goes on, but no next one is told of.
                        "connectionDetails.nextSyncAt": x.keep_or_remove(
                            x.SYNCS_BY_ITSELF,
                            x.when(idle, next_run, _as_it_is("connectionDetails.nextSyncAt")),
                        ),
                        "sync.dueAt": x.when(
                            idle,
                            x.keep_or_remove(x.SYNCS_BY_ITSELF, next_run),
                            _as_it_is("sync.dueAt"),
                        ),
                    }
                },
            ],
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        return connector(document) if document else None

    async def _fenced(
        self, claimed: Connector, fields: Document, session: Session | None = None
    ) -> bool:
        result = await self._connectors.update_one(
            under_way(claimed), [{"$set": fields}], session=session
        )
        return result.matched_count == 1


def under_way(claimed: Connector) -> Document:
    """The filter for a claimed connector while the claim and its run still hold."""
    run: Run | None = claimed.run
    return {
        "_id": ObjectId(claimed.id),
        "sync.fence": claimed.fence,
        "sync.run.syncId": run.sync_id if run else None,
    }


def _the_longer(done: Sequence[DataTypeCount]) -> Document:
    """What was fetched so far: as it is noted, where what is stored just now is one more."""
    noted = {"$ifNull": ["$sync.run.done", []]}
    return x.when({"$lt": [{"$size": noted}, len(done)]}, x.count_documents(done), noted)


def _as_it_is(path: str) -> Document:
    return {"$ifNull": [f"${path}", "$$REMOVE"]}
