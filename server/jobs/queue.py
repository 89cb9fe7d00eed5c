"""Due documents of any collection, each worked on by one worker at a time, over all processes.

A claim takes the document that has been due longest and puts it under a lease, in one atomic step: its due
field then says when the lease lapses, and its fence grows. Every write of its worker names the fence, and is
refused once another worker has the document or the job was called off. The lease is kept by heartbeats; if a
worker dies or freezes, it lapses, and the next claim gets the document as abandoned.

Leases go by MongoDB's clock. Due times go by the `now` that a claim is given: the kernel's clock.
Fields that a domain writes are aggregation expressions; a value from outside belongs under `$literal`.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import structlog
from pymongo import ASCENDING, IndexModel, ReturnDocument

from server.core.clock import milliseconds
from server.observability.logging import cause_of
from server.storage.driver import ClientSession, Database, Document
from server.storage.persistence import persistently

T = TypeVar("T")

NOW = "$$NOW"
HEARTBEATS_A_LEASE = 3
RETRY_SECONDS = 1.0  # a heartbeat that failed with the database

_log = structlog.stdlib.get_logger("finlink.jobs")


class LeaseLost(Exception):
    """Another worker has the document, or its work was called off: nothing more may be written."""


@dataclass(frozen=True)
class JobKind:
    """Which documents of a collection are work. Fields are named by their paths."""

    collection: str
    due: str  # when a document wants a worker; under a lease, when that lapses
    leased: str  # since when, by the claim's clock, it is under a lease; missing where it is not
    fence: str  # grows with every claim and when a job is handed back
    lease: timedelta
    where: Mapping[str, Any] = field(default_factory=dict)  # what else a document must be like
    projection: Mapping[str, Any] | None = None  # what its worker reads of it

    @property
    def due_index(self) -> str:
        return f"{self.due}_1"

    @property
    def leased_index(self) -> str:
        return f"{self.due}_1_claimed"

    @property
    def indexes(self) -> list[IndexModel]:
        leased = {self.leased: {"$exists": True}}
        return [
            IndexModel(self.due, name=self.due_index, sparse=True),
            IndexModel(self.due, name=self.leased_index, partialFilterExpression=leased),
        ]

    @property
    def next_fence(self) -> Document:
        return {"$add": [{"$ifNull": [f"${self.fence}", 0]}, 1]}

    @property
    def lease_end(self) -> Document:
        return {"$add": [NOW, milliseconds(self.lease)]}


@dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """A document as it was claimed."""

    item: T
    id: Any
    fence: int
    abandoned: bool  # the worker that had it before let its lease lapse


class JobQueue(Generic[T]):
    """The due documents of one kind. Driver errors pass through."""

    def __init__(
        self, database: Database, kind: JobKind, read: Callable[[Mapping[str, Any]], T]
    ) -> None:
        self._collection = database.collection(kind.collection)
        self._kind = kind
        self._read = read

    async def claim(
        self,
        *,
        now: datetime,
        then: Sequence[Document] = (),
        abandoned: Sequence[Document] | None = (),
    ) -> Job[T] | None:
        """Take the document that has been due longest, abandoned ones first; None if none is due.

        `then` are stages that follow in the same step; `abandoned` those for a document that another
        worker abandoned, None where such are not looked for. They may call the job off by taking the
        lease back: the job then comes without one, and nothing may be written for it.
        """
        kind = self._kind
        if abandoned is not None:
            lapsed = [_lapsed(kind.due), {kind.leased: {"$exists": True}}]
            job = await self._claim(lapsed, kind.leased_index, now, abandoned, abandoned=True)
            if job is not None:
                return job
        due = [_past(kind.due, now), {kind.leased: {"$exists": False}}]
        return await self._claim(due, kind.due_index, now, then, abandoned=False)

    async def _claim(
        self,
        where: Sequence[Document],
        index: str,
        now: datetime,
        then: Sequence[Document],
        *,
        abandoned: bool,
    ) -> Job[T] | None:
        kind = self._kind
        lease = {kind.fence: kind.next_fence, kind.due: kind.lease_end, kind.leased: now}
        document = await self._collection.find_one_and_update(
            {"$and": [*where, kind.where]},
            [{"$set": lease}, *then],
            projection=kind.projection,
            sort=[(kind.due, ASCENDING)],
            hint=index,
            return_document=ReturnDocument.AFTER,
        )
        if document is None:
            return None
        return Job(self._read(document), document["_id"], _at(document, kind.fence), abandoned)

    async def due_since(self, now: datetime) -> datetime | None:
        """Since when the document that has been due longest waits for a worker; None if none is due."""
        kind = self._kind
        free = {"$or": [{kind.leased: {"$exists": False}}, _lapsed(kind.due)]}
        where = {"$and": [_past(kind.due, now), free, kind.where]}
        document = await self._collection.find_one(
            where, {kind.due: 1}, sort=[(kind.due, ASCENDING)], hint=kind.due_index
        )
        return _at(document, kind.due) if document else None

    # What its worker writes: False if the lease is over

    async def keep(
        self,
        job: Job[T],
        fields: Mapping[str, Any] | None = None,
        session: ClientSession | None = None,
    ) -> bool:
        """Extend the lease, and write how far the work is."""
        return await self._write(job, {self._kind.due: self._kind.lease_end}, fields, session)

    async def release(self, job: Job[T], fields: Mapping[str, Any] | None = None) -> bool:
        """Hand the job back unfinished: it is due at once, for any worker."""
        return await self._hand_back(job, NOW, fields)

    async def defer(self, job: Job[T], due: Any, fields: Mapping[str, Any] | None = None) -> bool:
        """Hand it back until a later time. Once MongoDB replies: it must not count as abandoned."""
        return await persistently(lambda: self._hand_back(job, due, fields))

    async def finish(
        self,
        job: Job[T],
        fields: Mapping[str, Any] | None = None,
        session: ClientSession | None = None,
        *,
        due: Any = "$$REMOVE",
    ) -> bool:
        """End the job; `due` is for a document that comes again."""
        ended = {self._kind.due: due, self._kind.leased: "$$REMOVE"}
        return await self._write(job, ended, fields, session)

    async def _hand_back(self, job: Job[T], due: Any, fields: Mapping[str, Any] | None) -> bool:
        kind = self._kind
        ended = {kind.due: due, kind.leased: "$$REMOVE", kind.fence: kind.next_fence}
        return await self._write(job, ended, fields, None)

    async def _write(
        self,
        job: Job[T],
        lease: Document,
        fields: Mapping[str, Any] | None,
        session: ClientSession | None,
    ) -> bool:
        stages = [{"$set": dict(each)} for each in (lease, fields) if each]
        result = await self._collection.update_one(self.under_lease(job), stages, session=session)
        return result.matched_count == 1

    def under_lease(self, job: Job[T]) -> Document:
        """The filter for a document while its job is still this one."""
        return {"_id": job.id, self._kind.fence: job.fence, self._kind.leased: {"$exists": True}}

    # Working under a lease

    async def run(
        self,
        job: Job[T],
        work: Coroutine[Any, Any, None],
        progress: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """Do the work and keep the lease meanwhile; `progress` gives the fields that say how far it is.

        Raises LeaseLost, with the work cancelled. If this is cancelled, the job is handed back.
        """
        working = asyncio.create_task(work)
        heartbeat = asyncio.create_task(self._heartbeat(job, progress))
        try:
            done, _ = await asyncio.wait({working, heartbeat}, return_when=asyncio.FIRST_COMPLETED)
            if working not in done:
                raise LeaseLost
            working.result()
        except asyncio.CancelledError:
            await _ended(working)
            await asyncio.shield(self.release(job, progress()))
            raise
        finally:
            await _ended(working, heartbeat)

    async def _heartbeat(self, job: Job[T], progress: Callable[[], Mapping[str, Any]]) -> None:
        """Return once the lease is lost, or could not be kept for as long as it lasts."""
        now = asyncio.get_running_loop().time
        lease = self._kind.lease.total_seconds()
        kept, pause = now(), lease / HEARTBEATS_A_LEASE
        while now() - kept < lease:
            await asyncio.sleep(pause)
            try:
                if not await self.keep(job, progress()):
                    return
            except Exception as error:  # noqa: BLE001 - it may not be lost yet; the next beat finds out
                _log.warning("heartbeat failed", job=str(job.id), **cause_of(error))
                pause = min(RETRY_SECONDS, pause)
            else:
                kept, pause = now(), lease / HEARTBEATS_A_LEASE


@dataclass(frozen=True)
class DueJobs(Generic[T]):
    """A queue as a scheduler asks it, with due times by a clock."""

    queue: JobQueue[T]
    now: Callable[[], datetime]
    then: Sequence[Document] = ()
    if_abandoned: Sequence[Document] = ()

    async def claim(self, *, abandoned: bool) -> Job[T] | None:
        also = self.if_abandoned if abandoned else None
        return await self.queue.claim(now=self.now(), then=self.then, abandoned=also)

    async def due_since(self) -> datetime | None:
        return await self.queue.due_since(self.now())


def _past(path: str, now: datetime) -> Document:
    return {path: {"$type": "date", "$lte": now}}


def _lapsed(path: str) -> Document:
    """By MongoDB's clock; it can use an index as well."""
    return {path: {"$type": "date"}, "$expr": {"$lte": [f"${path}", NOW]}}


def _at(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for name in path.split("."):
        value = value[name]
    return value


async def _ended(*tasks: asyncio.Task[None]) -> None:
    """Cancel the tasks, again where a driver loses a cancellation, until they have ended."""
    going = {task for task in tasks if not task.done()}
    while going:
        for task in going:
            task.cancel()
        _, going = await asyncio.wait(going, timeout=1)
    await asyncio.gather(*tasks, return_exceptions=True)
