"""Hands out what syncs have brought, to whoever keeps books of it (`kernel.RecordFeed`).

A connector is a job (`server/jobs`) while something of it waits. Each thing that waits has a mark in its own
document, so a worker that dies loses nothing, and the next one finds what is left.
"""

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, IndexModel

from server.core.clock import Clock
from server.domains.connectors.connections.store import CONNECTORS
from server.domains.connectors.model import RecordSet
from server.domains.connectors.records.boxes import DataKeyMissing, RecordBox, key_owner
from server.domains.connectors.records.postings import (
    DUE,
    ERASED,
    FAILING,
    FENCE,
    LEASED,
    MARKING,
    POSTINGS,
    VALUED,
    PostingRequests,
)
from server.domains.connectors.records.store import RECORDS
from server.domains.connectors.records.writes import POSTED_TYPE, UNPOSTED
from server.jobs.queue import Job, JobKind, JobQueue, LeaseLost
from server.kernel import FedConnector, FedRecord, RecordFeed
from server.storage.data_keys import DataKeyStore
from server.storage.driver import ClientSession, Database, Document

LEASE = timedelta(seconds=15)
_MARKED_AT_ONCE = 1_000
_OF_CONNECTOR = {"userId": 1, "platform": 1, "recordsErased": 1}


def _kind(lease: timedelta) -> JobKind:
    return JobKind(POSTINGS, due=DUE, leased=LEASED, fence=FENCE, lease=lease)


INDEXES: Mapping[str, Sequence[IndexModel]] = {
    POSTINGS: [*_kind(LEASE).indexes, IndexModel(FAILING, sparse=True)]
}


class PostingStore(RecordFeed):
    """Driver errors pass through; so do MissingKey and Undecipherable."""

    def __init__(
        self, database: Database, keys: DataKeyStore, clock: Clock, lease: timedelta = LEASE
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._requests = PostingRequests(database)
        self._postings = database.collection(POSTINGS)
        self._records = database.collection(RECORDS)
        self._connectors = database.collection(CONNECTORS)
        self._jobs = JobQueue(database, _kind(lease), _read)

    async def claim(self, *, abandoned: bool) -> Job[FedConnector] | None:
        while True:
            job = await self._jobs.claim(now=self._clock.now(), abandoned=() if abandoned else None)
            if job is None:
                return None
            if (connector := await self._connector(job.item.id)) is not None:
                whose = replace(
                    job.item, user_id=connector["userId"], platform=connector["platform"]
                )
                return Job(whose, job.id, job.fence, job.abandoned)
            await self._postings.delete_one({"_id": job.id, FENCE: job.fence})

    async def due_since(self) -> datetime | None:
        query = {FAILING: {"$type": "date"}}
        failing = await self._postings.find_one(query, {FAILING: 1}, sort=[(FAILING, ASCENDING)])
        due = await self._jobs.due_since(self._clock.now())
        times = [failing[FAILING] if failing else None, due]
        return min((each for each in times if each is not None), default=None)

    async def run(self, job: Job[FedConnector], work: Coroutine[Any, Any, None]) -> None:
        await self._jobs.run(job, work)

    async def mark(self, job: Job[FedConnector]) -> None:
        asked = await self._postings.find_one({"_id": job.id, MARKING: {"$exists": True}})
        if asked is None:
            return
        records, after = await self._records_of(job), None
        while records is not None:
            after = await self._mark_some(records, after)
            if not await self._jobs.keep(job):
                raise LeaseLost
            if after is None:
                break
        # If somebody has asked again meanwhile, it is done again.
        left = {"$cond": [{"$eq": [f"${MARKING}", asked[MARKING]]}, "$$REMOVE", f"${MARKING}"]}
        if not await self._jobs.keep(job, {MARKING: left}):
            raise LeaseLost

    async def _mark_some(self, records: RecordSet, after: Any) -> Any:
        """Mark those after an id; gives the last one, None at the end."""
        query: Document = {"connectorId": records.id, "dataType": POSTED_TYPE}
        if after is not None:
            query["_id"] = {"$gt": after}
        found = self._records.find(query, {"_id": 1}).sort("_id", ASCENDING)
        ids = [each["_id"] for each in await found.limit(_MARKED_AT_ONCE).to_list(None)]
        await self._records.update_many({"_id": {"$in": ids}}, {"$set": {UNPOSTED: True}})
        return ids[-1] if len(ids) == _MARKED_AT_ONCE else None

    async def rows(
        self, job: Job[FedConnector], limit: int, session: ClientSession | None = None
    ) -> Sequence[FedRecord]:
        records = await self._records_of(job, session)
        if records is None:
            return []
        query = {"connectorId": records.id, UNPOSTED: True}
        oldest = [("at", ASCENDING), ("_id", ASCENDING)]
        found = self._records.find(query, session=session).sort(oldest).hint(UNPOSTED)
        return await self._opened(records, await found.limit(limit).to_list(None), session)

    async def holdings(self, job: Job[FedConnector], session: ClientSession) -> Sequence[FedRecord]:
        records = await self._records_of(job, session)
        if records is None:
            return []
        query = {
            "connectorId": records.id,
            "dataType": "portfolio",
            "closedAt": {"$exists": False},
        }
        found = await self._records.find(query, session=session).to_list(None)
        return await self._opened(records, found, session)

    async def take(
        self,
        job: Job[FedConnector],
        rows: Sequence[FedRecord],
        session: ClientSession,
        *,
        erased: bool = False,
        valued: bool = False,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        if rows and (records := await self._records_of(job, session)) is not None:
            ids = [ObjectId(each.id) for each in rows]
            taken = {"connectorId": records.id, "_id": {"$in": ids}}
            await self._records.update_many(taken, {"$set": {UNPOSTED: False}}, session=session)
        fields: Document = {
            **({ERASED: "$$REMOVE"} if erased else {}),
            **({VALUED: "$$REMOVE"} if valued else {}),
            **({} if state is None else {"state": {"$literal": dict(state)}}),
        }
        if not await self._jobs.keep(job, fields, session):
            raise LeaseLost

    async def finish(self, job: Job[FedConnector], session: ClientSession) -> None:
        # Work that was asked for since the claim and is not done makes it due again.
        left = {"$or": [{"$ifNull": [f"${each}", False]} for each in (ERASED, VALUED, MARKING)]}
        due = {"$cond": [left, self._clock.now(), "$$REMOVE"]}
        if not await self._jobs.finish(job, {FAILING: "$$REMOVE"}, session, due=due):
            raise LeaseLost

    async def defer(self, job: Job[FedConnector], wait: timedelta) -> None:
        now = self._clock.now()
        failing = {FAILING: {"$ifNull": [f"${FAILING}", now]}}
        await self._jobs.defer(job, now + wait, failing)

    async def ask_again(self, connector_id: str, session: ClientSession | None = None) -> None:
        await self._requests.ask_again(connector_id, session)

    async def _connector(
        self, connector_id: str, session: ClientSession | None = None
    ) -> Document | None:
        if not ObjectId.is_valid(connector_id):
            return None
        query = {"_id": ObjectId(connector_id)}
        return await self._connectors.find_one(query, _OF_CONNECTOR, session=session)

    async def _records_of(
        self, job: Job[FedConnector], session: ClientSession | None = None
    ) -> RecordSet | None:
        """The records that the connector has now; None if it is gone."""
        connector = await self._connector(job.item.id, session)
        if connector is None:
            return None
        name, erased = job.item.id, connector.get("recordsErased") or 0
        return RecordSet(connector["userId"], f"{name}.{erased}" if erased else name)

    async def _opened(
        self, records: RecordSet, documents: Sequence[Document], session: ClientSession | None
    ) -> list[FedRecord]:
        if not documents:
            return []
        key = await self._keys.of(key_owner(records), session)
        if key is None:
            raise DataKeyMissing
        box = RecordBox(records, key)
        return [
            FedRecord(str(each["_id"]), box.key_of(each), box.data_of(each), "withdrawnAt" in each)
            for each in documents
        ]


def _read(document: Mapping[str, Any]) -> FedConnector:
    return FedConnector(
        document["_id"],
        "",
        "",
        bool(document.get(ERASED)),
        bool(document.get(VALUED)),
        document.get("state") or {},
    )
