"""A collection that no domain has: errands, each to be run once. As a program it is a worker for them."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId

from server.core.clock import utc_now
from server.jobs import scheduler as scheduler_module
from server.jobs.queue import DueJobs, Job, JobKind, JobQueue, LeaseLost
from server.jobs.scheduler import JobScheduler
from server.storage.driver import ClientSession, Database, Document, connected
from tests.storage.databases import settings

ERRANDS, RESULTS = "errands", "errand_results"
LEASE = timedelta(seconds=15)
LOST: Document = {"$set": {"lost": {"$add": [{"$ifNull": ["$lost", 0]}, 1]}}}
STEPS = 4  # of an errand, each noted with a heartbeat's write


def kind(lease: timedelta = LEASE) -> JobKind:
    return JobKind(
        ERRANDS, due="job.dueAt", leased="job.leasedAt", fence="job.fence", lease=lease,
        where={"open": True},
    )  # fmt: skip


KIND = kind()


class Errands:
    """A `Source` of a scheduler, and what tests do to errands."""

    def __init__(self, database: Database, lease: timedelta = LEASE) -> None:
        self.database = database
        self.collection = database.collection(ERRANDS)
        self.results = database.collection(RESULTS)
        self.queue: JobQueue[Mapping[str, Any]] = JobQueue(database, kind(lease), lambda each: each)
        self.due = DueJobs(self.queue, utc_now, if_abandoned=[LOST])

    async def claim(self, *, abandoned: bool = True) -> Job[Mapping[str, Any]] | None:
        return await self.due.claim(abandoned=abandoned)

    async def due_since(self) -> datetime | None:
        return await self.due.due_since()

    async def run(self, job: Job[Mapping[str, Any]]) -> None:
        await self.queue.run(job, self._work(job))

    async def _work(self, job: Job[Mapping[str, Any]]) -> None:
        for step in range(job.item.get("step", 0), STEPS):
            if not await self.queue.keep(job, {"step": step + 1}):
                raise LeaseLost

        async def end(session: ClientSession) -> None:
            await self.results.insert_one({"errand": job.id, "fence": job.fence}, session=session)
            if not await self.queue.finish(job, {"open": False}, session):
                raise LeaseLost

        await self.database.transact(end)

    async def add(self, due: datetime | None = None, count: int = 1) -> list[ObjectId]:
        """Due a second ago, where it is not said otherwise."""
        due = due or utc_now() - timedelta(seconds=1)
        made: list[Document] = [
            {"_id": ObjectId(), "open": True, "job": {"dueAt": due}} for _ in range(count)
        ]
        await self.collection.insert_many(made)
        return [each["_id"] for each in made]

    async def taken(self) -> Job[Mapping[str, Any]]:
        job = await self.claim()
        assert job is not None
        return job

    async def lapse(self, job: Job[Any]) -> None:
        """As time does if nobody keeps the lease."""
        ago = utc_now() - timedelta(seconds=1)
        await self.collection.update_one({"_id": job.id}, {"$set": {"job.dueAt": ago}})

    async def document(self, job: Job[Any]) -> Document:
        found = await self.collection.find_one({"_id": job.id})
        assert found is not None
        return found

    async def all_done(self) -> bool:
        return await self.collection.count_documents({"open": True}) == 0


async def main(uri: str, name: str) -> None:
    scheduler_module.POLL_SECONDS = 0.05
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with connected(settings(uri, "pymongo", db_name=name)) as database:
        errands = Errands(database, timedelta(seconds=1))
        scheduler = JobScheduler("errands", errands, errands.run, concurrency=3)
        scheduler.start()
        await stop.wait()
        await scheduler.stop(5)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
