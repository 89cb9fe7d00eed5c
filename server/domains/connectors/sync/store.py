"""The sync engine's writes: claiming due connectors, noting progress, finishing runs.

A connector's run is a job (`server/jobs`): due, under a lease, fenced.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING

from server.core.clock import milliseconds, utc_now
from server.domains.connectors.connections import expressions as x
from server.domains.connectors.connections.documents import connector
from server.domains.connectors.connections.sessions import new_sync_id
from server.domains.connectors.connections.store import CONNECTORS, SYNC_JOBS
from server.domains.connectors.model import (
    CANCELLED,
    FAILURES_TO_ERROR,
    LIVE,
    MAX_INTERVAL,
    Connector,
    DataTypeCount,
    ErrorEntry,
    HistoryEntry,
    ResponseDigest,
)
from server.domains.connectors.sync import stages
from server.jobs.queue import Job, JobQueue
from server.storage.driver import ClientSession, Database, Document
from server.storage.mapping import stored
from server.storage.updates import change

_CANCELLED_MESSAGE = "The sync was cancelled"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The changes that a finished run makes to its connector."""

    entry: HistoryEntry
    failures: int  # failed runs in a row, this one included
    status: str  # the connection's status afterwards
    error: ErrorEntry | None = None
    outages: int = 0  # runs in a row that an outage cut short, this one included
    pending: Sequence[str] = ()  # data types that the next run is about, if not about all
    retry_in: timedelta | None = None  # the next run, where that is before the interval is over
    not_within: timedelta = timedelta(0)  # as long as the platform asked to be left alone
    # Those that were new, by data type.
    responses: Mapping[str, ResponseDigest] = field(default_factory=dict)


class SyncStore:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._connectors = database.collection(CONNECTORS)
        self.jobs = JobQueue(database, SYNC_JOBS, connector)

    async def request_run(
        self,
        connector_id: str,
        sync_id: str,
        data_types: list[str],
        session: ClientSession | None = None,
    ) -> Connector | None:
        """Want a run of `data_types`, or of what the settings say, now.

        None where a run is wanted or under way, or the connector is not live.
        """
        now = utc_now()
        types = data_types or {"$ifNull": ["$metadata.dataTypes", "$metadata.permissions"]}
        document = await change(
            self._connectors,
            {
                "_id": ObjectId(connector_id),
                "connectionStatus": {"$in": LIVE},
                "sync.paused": {"$ne": True},
                "sync.run": {"$exists": False},
            },
            {
                "sync.run": {"syncId": sync_id, "dataTypes": types, "requestedAt": now},
                "sync.dueAt": now,
                "updatedAt": now,
            },
            session=session,
        )
        return connector(document) if document else None

    async def claim(self, *, abandoned: bool = True) -> Job[Connector] | None:
        """Put the run of the connector that has been due longest under way; None if none is due.

        Of history and errors the connector has the newest entry of history alone. It comes without a
        run if nothing is to run after all: it does not sync by itself, or has failed too often and
        rests first.
        """
        sync_id = new_sync_id()
        return await self.jobs.claim(
            now=utc_now(),
            then=stages.begin(sync_id),
            abandoned=stages.take_over(sync_id) if abandoned else None,
        )

    async def due_since(self) -> datetime | None:
        """Since when the connector that has been due longest waits for a worker; None if none is due."""
        return await self.jobs.due_since(utc_now())

    async def claim_check(self, lease: timedelta) -> Connector | None:
        """Take the connector whose session check has been due longest, if there is one.

        It comes again after `lease`, unless its session is renewed or ended before.
        """
        now = utc_now()
        document = await change(
            self._connectors,
            {
                "session.checkAt": {"$type": "date", "$lte": now},
                "connectionStatus": {"$in": LIVE},
            },
            {"session.checkAt": now + lease},
            sort=[("session.checkAt", ASCENDING)],
        )
        return connector(document) if document else None

    async def keep(self, job: Job[Connector], done: Sequence[DataTypeCount] = ()) -> bool:
        """Extend the lease, and write what the run has fetched so far; False if the lease is lost."""
        return await self.jobs.keep(job, progress(done))

    async def note_kept(
        self,
        job: Job[Connector],
        data_type: str,
        digest: str | None,
        done: Sequence[DataTypeCount],
        session: ClientSession,
    ) -> bool:
        """Note what the run has stored, if that is all of a data type, in the transaction that stores.

        It extends the lease; False if that is lost. Without a digest there is more to store.
        """
        fields: Document = {f"sync.kept.{data_type}": digest or "$$REMOVE"}
        if digest is not None:
            fields["sync.run.done"] = stored(done)
        return await self.jobs.keep(job, fields, session)

    async def defer(
        self, job: Job[Connector], wait: timedelta, done: Sequence[DataTypeCount]
    ) -> bool:
        """Let the run wait and go on later, by any worker, with what is not `done` yet."""
        fields = {**progress(done), "sync.run.deferrals": x.plus_one("sync.run.deferrals")}
        return await self.jobs.defer(job, utc_now() + wait, fields)

    async def cancel(
        self, connector_id: str, sync_id: str, session: ClientSession | None = None
    ) -> Connector | None:
        """End a run that is wanted or under way; None where it is not. Its worker writes no more."""
        now = utc_now()
        next_run = x.keep_or_remove(x.SYNCS_BY_ITSELF, {"$add": [now, x.INTERVAL_MS]})
        document = await change(
            self._connectors,
            {"_id": ObjectId(connector_id), "sync.run.syncId": sync_id},
            {
                **x.count_run(x.broken_off(CANCELLED, _CANCELLED_MESSAGE), "failed"),
                "connectionDetails.nextSyncAt": next_run,
                "sync.dueAt": next_run,
                "sync.fence": x.plus_one("sync.fence"),
                "sync.run": "$$REMOVE",
                "sync.owed": "$$REMOVE",
                "updatedAt": now,
            },
            session=session,
        )
        return connector(document) if document else None

    async def finish(
        self, job: Job[Connector], outcome: Outcome, session: ClientSession | None = None
    ) -> bool:
        """End the run: history, totals, status and the next time, all at once.

        The next time is by the settings of this moment: later, the more runs have failed in a row, and
        sooner where an outage cut this one short.
        """
        now = utc_now()
        pause: Any = x.INTERVAL_MS
        if outcome.retry_in is not None:
            pause = {"$min": [x.INTERVAL_MS, milliseconds(outcome.retry_in)]}
        if outcome.status == "error":
            doublings = min(outcome.failures - FAILURES_TO_ERROR + 1, 6)
            longest = int(MAX_INTERVAL.total_seconds() * 1000)
            slower = {"$min": [{"$multiply": [x.INTERVAL_MS, 2**doublings]}, longest]}
            pause = {"$max": [x.INTERVAL_MS, slower]}
        pause = {"$max": [pause, milliseconds(outcome.not_within)]}
        next_run = x.keep_or_remove(x.SYNCS_BY_ITSELF, {"$add": [now, pause]})
        fields: Document = {
            **x.count_run(x.history_entry(outcome.entry), outcome.entry.status),
            "connectionStatus": outcome.status,
            "failing": "$$REMOVE" if outcome.entry.status == "success" else True,
            "connectionDetails.nextSyncAt": next_run,
            "sync.failures": outcome.failures,
            "sync.outages": outcome.outages,
            "sync.owed": list(outcome.pending) or "$$REMOVE",
            "sync.run": "$$REMOVE",
            "updatedAt": now,
        }
        for data_type, response in outcome.responses.items():
            fields[f"sync.answers.{data_type}"] = {"$literal": stored(response)}
        if outcome.entry.status != "failed":
            fields["connectionDetails.lastSyncAt"] = outcome.entry.synced_at
        if outcome.entry.status == "success":
            fields["sync.lastSuccessAt"] = outcome.entry.synced_at
        if outcome.error is not None:
            fields |= x.add_error(outcome.error)
        return await self.jobs.finish(job, fields, session, due=next_run)

    async def set_settings(
        self,
        connector_id: str,
        fields: Document,
        data_types: list[str],
        session: ClientSession | None = None,
    ) -> Connector | None:
        """Store settings by document path, and by them when the connector syncs next.

        None where there is no such connector, or `data_types` are not all granted to it.
        """
        now = utc_now()
        next_run = {
            "$max": [
                now,
                {
                    "$add": [
                        {"$ifNull": ["$connectionDetails.lastSyncAt", now]},
                        x.INTERVAL_MS,
                    ]
                },
            ]
        }
        idle = {"$and": [x.IS_LIVE, {"$not": [x.HAS_RUN]}]}
        granted: Document = {"metadata.permissions": {"$all": data_types}} if data_types else {}
        document = await change(
            self._connectors,
            {"_id": ObjectId(connector_id), **granted},
            {**x.literals(fields), "sync.owed": "$$REMOVE", "updatedAt": now},
            {
                # A run under way goes on, but no next one is shown.
                "connectionDetails.nextSyncAt": x.keep_or_remove(
                    x.SYNCS_BY_ITSELF,
                    x.when(idle, next_run, _as_it_is("connectionDetails.nextSyncAt")),
                ),
                "sync.dueAt": x.when(
                    idle, x.keep_or_remove(x.SYNCS_BY_ITSELF, next_run), _as_it_is("sync.dueAt")
                ),
            },
            session=session,
        )
        return connector(document) if document else None


def progress(done: Sequence[DataTypeCount]) -> Document:
    """The counts so far: as noted, unless a newly stored data type adds one."""
    noted = {"$ifNull": ["$sync.run.done", []]}
    longer = {"$lt": [{"$size": noted}, len(done)]}
    return {"sync.run.done": x.when(longer, stored(done), noted)} if done else {}


def _as_it_is(path: str) -> Document:
    return {"$ifNull": [f"${path}", "$$REMOVE"]}
