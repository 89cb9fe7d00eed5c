"""A read that is done once for all who wait for it."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Run:
    task: asyncio.Task[None] = field(init=False)
    begun_at: float = float("inf")  # not yet


class SharedRead:
    def __init__(self, read: Callable[[], Awaitable[None]]) -> None:
        self._read = read
        self._last: _Run | None = None
        self.begun_at = float("-inf")  # of the last that succeeded, as `time.monotonic` has it

    async def since(self, moment: float) -> None:
        """Return when a read has succeeded that began at a moment of `time.monotonic` or later.

        Raises what that read raises, to all who wait: after one another each would wait for MongoDB.
        """
        while self.begun_at < moment:
            run = self._last
            if run is None or run.task.done():
                run = self._last = self._start()
            await asyncio.wait({run.task})
            if run.begun_at >= moment:
                run.task.result()

    async def next(self) -> None:
        """The same for a read that succeeds after the last that did, also if it is under way."""
        await self.since(math.nextafter(self.begun_at, math.inf))

    def _start(self) -> _Run:
        run = _Run()
        # In nobody's context: the caller who happens to need it first is not who does it.
        run.task = asyncio.create_task(self._run(run), context=Context())
        # Also where nobody waits for it any more.
        run.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return run

    async def _run(self, run: _Run) -> None:
        run.begun_at = time.monotonic()
        await self._read()
        self.begun_at = run.begun_at
