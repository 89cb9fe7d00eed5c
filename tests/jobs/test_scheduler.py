"""Schedulers as workers run them: tasks of one process, and processes that are killed and frozen."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Any

import pytest
import structlog

from server.jobs import scheduler as scheduler_module
from server.jobs.queue import Job
from server.jobs.scheduler import JobScheduler
from tests.domains.connectors.waiting import eventually
from tests.jobs.errands import Errands
from tests.mongodb import MongoDb

Errand = Mapping[str, Any]
VICTIMS, MOST_VICTIMS = 6, 40


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_module, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(scheduler_module, "RETRY_SECONDS", 0.02)


def scheduler(errands: Errands, concurrency: int = 3) -> JobScheduler[Errand]:
    return JobScheduler("errands", errands, errands.run, concurrency)


@asynccontextmanager
async def working(*schedulers: JobScheduler[Errand], grace: float = 1) -> AsyncIterator[None]:
    for each in schedulers:
        each.start()
    try:
        yield
    finally:
        async with asyncio.timeout(grace + 10):
            await asyncio.gather(*(each.stop(grace) for each in schedulers))


async def test_each_errand_is_run_once_by_many_schedulers(errands: Errands) -> None:
    added = await errands.add(count=40)
    async with working(*(scheduler(errands) for _ in range(4))):
        await eventually(errands.all_done, "all errands")
    results = await errands.results.find({}).to_list(None)
    assert sorted(each["errand"] for each in results) == added
    assert {each["fence"] for each in results} == {1}


async def test_no_more_at_a_time_than_allowed(errands: Errands) -> None:
    await errands.add(count=6)
    going = most = 0

    class Counting(Errands):
        async def run(self, job: Job[Errand]) -> None:
            nonlocal going, most
            going += 1
            most = max(most, going)
            await super().run(job)
            going -= 1

    async with working(scheduler(Counting(errands.database), concurrency=2)):
        await eventually(errands.all_done, "all errands")
    assert most == 2


class Asked(Errands):
    """Counts what it is asked."""

    def __init__(self, errands: Errands) -> None:
        super().__init__(errands.database)
        self.asked: Counter[str] = Counter()

    async def claim(self, *, abandoned: bool = True) -> Job[Errand] | None:
        self.asked["claim"] += 1
        return await super().claim(abandoned=abandoned)

    async def due_since(self) -> datetime | None:
        self.asked["due_since"] += 1
        return await super().due_since()


async def test_while_nothing_is_due_nothing_is_claimed(errands: Errands) -> None:
    asked = Asked(errands)
    async with working(scheduler(asked)):

        async def polled() -> bool:
            return asked.asked["due_since"] >= 5

        await eventually(polled, "five polls")
        assert asked.asked["claim"] == 1, "as it began"
        await errands.add()
        await eventually(errands.all_done, "what became due meanwhile")


async def test_who_wakes_it_does_not_wait_for_a_poll(
    errands: Errands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_module, "POLL_SECONDS", 3_600)
    asked = Asked(errands)
    woken = scheduler(asked)
    async with working(woken):

        async def begun() -> bool:
            return asked.asked["claim"] == 1

        await eventually(begun, "the first look")
        await errands.add()
        woken.wake()
        await eventually(errands.all_done, "the errand")


async def test_a_failing_database_is_asked_again(errands: Errands) -> None:
    await errands.add()
    failures = iter([ConnectionError("away"), ConnectionError("still away")])

    class Failing(Errands):
        async def claim(self, *, abandoned: bool = True) -> Job[Errand] | None:
            for failure in failures:
                raise failure
            return await super().claim(abandoned=abandoned)

    with structlog.testing.capture_logs() as logs:
        async with working(scheduler(Failing(errands.database))):
            await eventually(errands.all_done, "the errand")
    lines = [line for line in logs if line["event"] == "cannot claim due jobs"]
    assert [(line["jobs"], line["cause"]) for line in lines] == [("errands", "ConnectionError")] * 2


async def test_a_fault_in_one_job_stops_nothing_else(errands: Errands) -> None:
    (first,) = await errands.add()
    await errands.add()

    class Faulty(Errands):
        async def run(self, job: Job[Errand]) -> None:
            if job.id == first and not job.abandoned:
                await self.lapse(job)
                raise RuntimeError("a fault of ours")
            await super().run(job)

    with structlog.testing.capture_logs() as logs:
        async with working(scheduler(Faulty(errands.database), concurrency=1)):
            await eventually(errands.all_done, "both errands")
    (line,) = [line for line in logs if line["event"] == "job broken off"]
    assert (line["job"], line["cause"]) == (str(first), "RuntimeError")


# Stopping


async def test_a_stopped_scheduler_takes_nothing(errands: Errands) -> None:
    stopped = scheduler(errands)
    async with working(stopped):
        pass
    await errands.add()
    stopped.wake()
    await errands.taken()  # which is possible only if nobody else has it


async def test_it_stops_though_the_driver_loses_a_cancellation(errands: Errands) -> None:
    """PyMongo's asyncio API does so on Python 3.11, whose `asyncio.wait_for` can lose one."""

    class HardOfHearing(Errands):
        lost = False

        async def claim(self, *, abandoned: bool = True) -> Job[Errand] | None:
            try:
                await asyncio.Event().wait()  # MongoDB is silent
            except asyncio.CancelledError:
                if self.lost:
                    raise
                self.lost = True
            return None

    deaf = HardOfHearing(errands.database)
    with pytest.MonkeyPatch.context() as quick:
        quick.setattr(scheduler_module, "LOOP_END_SECONDS", 0.05)
        async with working(scheduler(deaf), grace=0):
            await asyncio.sleep(0)
    assert deaf.lost


async def test_what_it_was_just_claiming_is_handed_back(errands: Errands) -> None:
    await errands.add()
    claimed, replied = asyncio.Event(), asyncio.Event()

    class Slow(Errands):
        """MongoDB has made the claim, and its reply is still on the way."""

        async def claim(self, *, abandoned: bool = True) -> Job[Errand] | None:
            job = await super().claim(abandoned=abandoned)
            claimed.set()
            await replied.wait()
            return job

        async def run(self, job: Job[Errand]) -> None:
            await self.queue.run(job, asyncio.Event().wait())  # type: ignore[arg-type]

    stopping = scheduler(Slow(errands.database))
    stopping.start()
    async with asyncio.timeout(10):
        await claimed.wait()
        stop = asyncio.create_task(stopping.stop(0))
        await asyncio.sleep(0)
        replied.set()
        await stop
    job = await errands.taken()
    assert (job.fence, job.abandoned) == (3, False)


# Processes


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.full_only) for n in (1, 2))]
)
async def test_each_errand_once_whoever_dies_or_freezes(
    errands: Errands, mongodb: MongoDb, seed: int
) -> None:
    """Worker processes are killed and frozen for longer than a lease, again and again, at work."""
    chance = random.Random(seed)  # noqa: S311 - the same each time
    name = errands.database._database.name

    async def worker() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.jobs.errands", mongodb.uri, name
        )

    async def done(count: int) -> bool:
        return await errands.collection.count_documents({"open": False}) >= count

    async def lost() -> int:
        """How many errands a worker died or froze with, so far."""
        documents = await errands.collection.find({"lost": {"$exists": True}}).to_list(None)
        return sum(each["lost"] for each in documents)

    added: list[Any] = []
    workers = [await worker() for _ in range(3)]
    frozen: list[asyncio.subprocess.Process] = []
    try:
        # On a busy machine a victim may not have begun to work: some more are chosen then.
        for number in range(MOST_VICTIMS):
            if number >= VICTIMS and await lost() > 0:
                break
            added += await errands.add(count=20)
            enough = partial(done, len(added) - chance.randint(1, 15))
            await eventually(enough, "some errands")
            victim = workers.pop(chance.randrange(len(workers)))
            if number % 2:
                victim.kill()
                await victim.wait()
                workers.append(await worker())
            else:
                victim.send_signal(signal.SIGSTOP)
                frozen.append(victim)
                workers.append(await worker())
            if len(frozen) > 1:
                thawed = frozen.pop(0)  # long past its leases
                thawed.send_signal(signal.SIGCONT)
                workers.append(thawed)
        await eventually(errands.all_done, "all errands")
        for each in frozen:
            each.send_signal(signal.SIGCONT)
    finally:
        for each in (*workers, *frozen):
            if each.returncode is None:
                each.send_signal(signal.SIGCONT)
                each.terminate()
                await each.wait()
    results = await errands.results.find({}).to_list(None)
    assert sorted(each["errand"] for each in results) == sorted(added)
    documents = await errands.collection.find({}).to_list(None)
    assert all(set(each["job"]) == {"fence"} for each in documents)
    assert await lost() > 0, "nobody died at work: this has shown nothing"
    fences = {each["errand"]: each["fence"] for each in results}
    assert all(each["job"]["fence"] == fences[each["_id"]] for each in documents)
