"""Claims what is due and works on it, several jobs at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Generic, Protocol, TypeVar

import structlog

from server.jobs.queue import Job
from server.observability.logging import cause_of

T = TypeVar("T")

POLL_SECONDS = 1.0
RETRY_SECONDS = 2.0  # after the database failed
LOOP_END_SECONDS = 5.0  # for a claim that is under way
LATE_SECONDS = 3.0  # for a loop that was cancelled

_log = structlog.stdlib.get_logger("finlink.jobs")


class Source(Protocol[T]):
    """Where jobs come from."""

    async def claim(self, *, abandoned: bool) -> Job[T] | None:
        """`abandoned`: look for those first that dead workers left."""

    async def due_since(self) -> datetime | None:
        """None if nothing is due. It costs less than a claim."""


class JobScheduler(Generic[T]):
    """`start` it once; `stop` hands unfinished jobs back.

    Nothing is asked of MongoDB while `concurrency` jobs are worked on. While nothing is due it is asked
    each POLL_SECONDS whether something is; a job that ends, and `wake`, make that at once.
    """

    def __init__(
        self,
        name: str,
        source: Source[T],
        work: Callable[[Job[T]], Awaitable[None]],
        concurrency: int,
    ) -> None:
        """`work` does a job under its lease, see `JobQueue.run`."""
        self._name = name
        self._source = source
        self._work = work
        self._concurrency = concurrency
        self._stopping = asyncio.Event()
        self._woken = asyncio.Event()
        self._working: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None
        self._abandoned_at = 0.0  # when abandoned jobs are looked for again, on the loop's clock

    def start(self) -> None:
        self._loop = asyncio.create_task(self._claim_forever())

    def wake(self) -> None:
        """Something became due just now."""
        self._woken.set()

    async def stop(self, grace: float) -> None:
        """Claim nothing more; jobs have `grace` seconds to end, then they are handed back."""
        self._stopping.set()
        self._woken.set()
        if self._loop is not None:
            # Not cancelled: a claim that is being made would be lost between MongoDB and here.
            _, late = await asyncio.wait({self._loop}, timeout=LOOP_END_SECONDS)
            if late:
                self._loop.cancel()
                await asyncio.wait(late, timeout=LATE_SECONDS)
        if self._working:
            await asyncio.wait(self._working, timeout=grace)
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)

    async def _claim_forever(self) -> None:
        idle = False
        while not self._stopping.is_set():
            self._woken.clear()
            pause = POLL_SECONDS
            try:
                if self._has_free_slot() and (not idle or await self._source.due_since()):
                    while self._has_free_slot() and await self._claim_one():
                        pass
            except Exception as error:  # noqa: BLE001 - whatever it was, the next round may work
                _log.warning("cannot claim due jobs", jobs=self._name, **cause_of(error))
                pause = RETRY_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause)
            idle = not self._woken.is_set()

    def _has_free_slot(self) -> bool:
        return len(self._working) < self._concurrency and not self._stopping.is_set()

    async def _claim_one(self) -> bool:
        """Claim a due job and begin it; False if none is due."""
        now = asyncio.get_running_loop().time()
        abandoned = now >= self._abandoned_at
        job = await self._source.claim(abandoned=abandoned)
        if abandoned and not (job and job.abandoned):
            self._abandoned_at = now + POLL_SECONDS
        if job is None:
            return False
        task = asyncio.create_task(self._do(job))
        self._working.add(task)
        task.add_done_callback(self._ended)
        return True

    async def _do(self, job: Job[T]) -> None:
        try:
            await self._work(job)
        except Exception as error:  # noqa: BLE001 - of one job; its lease lapses, and it is abandoned
            _log.error("job broken off", jobs=self._name, job=str(job.id), **cause_of(error))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        self._woken.set()  # a slot is free again
