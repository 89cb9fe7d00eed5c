"""Claims, leases and fences on a collection of no domain."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from server.core.clock import utc_now
from server.jobs import queue as queue_module
from server.jobs.queue import Job, JobQueue, LeaseLost
from tests.domains.connectors.waiting import eventually
from tests.jobs.errands import KIND, LEASE, Errands

SLACK = timedelta(seconds=1)  # between this clock and MongoDB's
FAR = timedelta(days=400)


async def test_nothing_due_nothing_claimed(errands: Errands) -> None:
    assert await errands.claim() is None
    await errands.add(utc_now() + timedelta(minutes=1))
    assert await errands.claim() is None
    assert await errands.due_since() is None


async def test_a_worker_leases_what_has_been_due_longest(errands: Errands) -> None:
    (newer,) = await errands.add(utc_now() - timedelta(minutes=1))
    (older,) = await errands.add(utc_now() - timedelta(minutes=2))
    job = await errands.taken()
    assert (job.id, job.fence, job.abandoned) == (older, 1, False)
    document = await errands.document(job)
    assert abs(document["job"]["dueAt"] - document["job"]["leasedAt"] - LEASE) < SLACK
    assert abs(document["job"]["leasedAt"] - utc_now()) < SLACK
    assert (await errands.taken()).id == newer
    assert await errands.claim() is None


async def test_of_many_at_once_each_errand_goes_to_one(errands: Errands) -> None:
    added = await errands.add(count=3)
    jobs = await asyncio.gather(*(errands.claim() for _ in range(12)))
    assert sorted(job.id for job in jobs if job) == added


async def test_what_else_must_be_true_of_a_document(errands: Errands) -> None:
    (closed,) = await errands.add()
    await errands.collection.update_one({"_id": closed}, {"$set": {"open": False}})
    assert await errands.claim() is None
    assert await errands.due_since() is None


async def test_an_abandoned_job_comes_first_and_says_so(errands: Errands) -> None:
    await errands.add(utc_now() - timedelta(hours=1))
    left = await errands.taken()
    (waiting,) = await errands.add(utc_now() - timedelta(hours=9))
    await errands.lapse(left)
    job = await errands.taken()
    assert (job.id, job.fence, job.abandoned) == (left.id, left.fence + 1, True)
    assert job.item["lost"] == 1
    assert (await errands.taken()).id == waiting


async def test_abandoned_jobs_wait_for_a_worker_that_looks_for_them(errands: Errands) -> None:
    await errands.add()
    await errands.lapse(await errands.taken())
    assert await errands.claim(abandoned=False) is None
    assert await errands.due_since() is not None
    assert await errands.claim() is not None


async def no_write_counts(errands: Errands, job: Job[Any]) -> None:
    before = await errands.document(job)
    queue = errands.queue
    assert not await queue.keep(job, {"step": 99})
    assert not await queue.release(job)
    assert not await queue.defer(job, utc_now())
    assert not await queue.finish(job, {"open": False})
    assert await errands.document(job) == before


async def test_a_frozen_worker_that_thaws_writes_nothing(errands: Errands) -> None:
    await errands.add()
    frozen = await errands.taken()
    await errands.lapse(frozen)
    taken_over = await errands.taken()
    await no_write_counts(errands, frozen)
    with pytest.raises(LeaseLost):
        await errands.run(frozen)
    assert await errands.results.count_documents({}) == 0, "what it did was undone"
    await errands.run(taken_over)
    (result,) = await errands.results.find({}).to_list(None)
    assert result["fence"] == taken_over.fence


async def test_a_finished_job_is_over(errands: Errands) -> None:
    await errands.add()
    job = await errands.taken()
    assert await errands.queue.finish(job, {"open": False})
    await no_write_counts(errands, job)
    document = await errands.document(job)
    assert (document["open"], document["job"]) == (False, {"fence": 1})


async def test_a_job_that_comes_again(errands: Errands) -> None:
    await errands.add()
    job = await errands.taken()
    due = utc_now() + timedelta(hours=1)
    assert await errands.queue.finish(job, due=due)
    assert (await errands.document(job))["job"] == {"dueAt": due, "fence": 1}


async def test_a_job_handed_back_is_due_at_once_and_not_abandoned(errands: Errands) -> None:
    await errands.add()
    job = await errands.taken()
    assert await errands.queue.release(job, {"step": 2})
    await no_write_counts(errands, job)
    again = await errands.taken()
    assert (again.item["step"], again.fence, again.abandoned) == (2, 3, False)


async def test_a_deferred_job_waits(errands: Errands) -> None:
    await errands.add()
    job = await errands.taken()
    assert await errands.queue.defer(job, utc_now() + FAR, {"step": 1})
    await no_write_counts(errands, job)
    assert await errands.claim() is None


async def test_conditions_of_a_kind_leave_those_of_a_lease_alone(errands: Errands) -> None:
    """Whatever operators they are made of."""
    open_ones = {"$expr": "$open", "$or": [{"open": True}]}
    queue = JobQueue(
        errands.database, dataclasses.replace(KIND, where=open_ones), lambda each: each
    )
    await errands.add()
    assert await queue.claim(now=utc_now()) is not None
    assert await queue.claim(now=utc_now()) is None, "the lease lasts"
    assert await queue.due_since(utc_now() + 10 * LEASE) is None


async def test_due_times_go_by_the_clock_that_is_given(errands: Errands) -> None:
    """Leases do not: the clock of the product may be years ahead of MongoDB's."""
    queue, ahead = errands.queue, utc_now() + FAR
    (due,) = await errands.add(ahead - timedelta(days=1))
    assert await queue.claim(now=utc_now()) is None
    assert await queue.due_since(utc_now()) is None
    since = await queue.due_since(ahead)
    assert since is not None
    assert abs(since - ahead + timedelta(days=1)) < SLACK
    job = await queue.claim(now=ahead)
    assert job is not None
    assert job.id == due
    assert await queue.claim(now=ahead) is None, "the lease holds"
    assert await queue.due_since(ahead) is None
    await errands.lapse(job)
    assert await queue.due_since(ahead) is not None
    again = await queue.claim(now=utc_now() - FAR)
    assert again is not None
    assert again.abandoned


async def test_looking_for_what_is_due_reads_nothing_that_is_not(errands: Errands) -> None:
    """Every worker looks each second: that must not cost more the more documents there are."""
    await errands.add(utc_now() + timedelta(hours=1), count=200)
    asked: list[dict[str, object]] = []

    class Recording:
        async def find_one_and_update(self, query, *_, sort, hint, **__):  # type: ignore[no-untyped-def]
            asked.append({"filter": query, "sort": dict(sort), "hint": hint})

        async def find_one(self, query, _, *, sort, hint):  # type: ignore[no-untyped-def]
            asked.append({"filter": query, "sort": dict(sort), "hint": hint})

    errands.queue._collection = Recording()  # type: ignore[assignment]
    await errands.queue.claim(now=utc_now())
    await errands.queue.due_since(utc_now())
    assert len(asked) == 3
    for find in asked:
        command = {"find": KIND.collection, "limit": 1, **find}
        plan = await errands.database._database.command(
            {"explain": command, "verbosity": "executionStats"}
        )
        assert plan["executionStats"]["totalKeysExamined"] <= 2
        assert plan["executionStats"]["totalDocsExamined"] <= 2


# Heartbeats


async def silent() -> None:
    await asyncio.Future()


async def test_heartbeats_keep_the_lease_and_say_how_far_it_is(
    errands: Errands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "HEARTBEATS_A_LEASE", 1_500)
    await errands.add()
    job = await errands.taken()
    first = (await errands.document(job))["job"]["dueAt"]
    running = asyncio.create_task(errands.queue.run(job, silent(), lambda: {"step": 3}))

    async def extended() -> bool:
        document = await errands.document(job)
        return bool(document["job"]["dueAt"] > first and document["step"] == 3)

    await eventually(extended, "the lease to be extended")
    await errands.lapse(job)
    await errands.collection.update_one({"_id": job.id}, {"$inc": {"job.fence": 1}})
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(running, 10)


async def test_a_heartbeat_that_failed_comes_again_soon(
    errands: Errands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "HEARTBEATS_A_LEASE", 1_500)
    await errands.add()
    job = await errands.taken()
    keep, beats = errands.queue.keep, asyncio.Semaphore(0)
    failures = iter([AutoReconnect("away"), AutoReconnect("still away")])

    async def failing(*given: Any) -> bool:
        for failure in failures:
            raise failure
        beats.release()
        return await keep(*given)

    monkeypatch.setattr(errands.queue, "keep", failing)
    running = asyncio.create_task(errands.queue.run(job, silent()))
    async with asyncio.timeout(10):
        await beats.acquire()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    again = await errands.taken()
    assert (again.id, again.abandoned) == (job.id, False), "it was handed back"


async def test_work_that_fails_leaves_its_lease(errands: Errands) -> None:
    await errands.add()
    job = await errands.taken()

    async def broken() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await errands.queue.run(job, broken())
    assert await errands.claim() is None
    await errands.lapse(job)
    assert (await errands.taken()).abandoned
