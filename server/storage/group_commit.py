"""Group commit: what comes while one transaction is under way shares the next one.

Nobody waits for a clock: one that comes alone goes at once.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

M = TypeVar("M")
T = TypeVar("T")

MOST = 64  # in one group
# A group begins once so many rounds of the event loop have brought no member: a call that is being decoded
# comes with it. A turn in which nothing happens takes microseconds.
QUIET_TURNS = 3
# A group that takes longer does not delay those that wait for the next one, as when MongoDB is silent.
SLOW_SECONDS = 0.25


class GroupCommit(Generic[M, T]):
    """Hands what comes to `commit`, in groups, and its results to those who wait for them."""

    def __init__(self, commit: Callable[[Sequence[M]], Awaitable[Sequence[T]]]) -> None:
        """`commit` gives a result for each member, or raises what all of them get."""
        self._commit = commit
        self._waiting: deque[tuple[M, asyncio.Future[T]]] = deque()
        self._serving: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    async def join(self, member: M) -> T:
        """The result for `member`. Who is cancelled before its group begins is left out of it."""
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((member, result))
        if self._serving is None:
            # Of nobody's context: it works for many callers.
            self._serving = asyncio.create_task(self._serve(), context=Context())
        return await result

    async def _serve(self) -> None:
        """One group after another, for as long as somebody waits."""
        try:
            while group := await self._next_group():
                task = asyncio.create_task(self._finish(group))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
                # Where one before it is slow, full groups do not wait, so that no queue builds up.
                full = len(self._under_way) > 1 and len(self._waiting) >= MOST
                await asyncio.wait({task}, timeout=0 if full else SLOW_SECONDS)
        finally:
            self._serving = None

    async def _next_group(self) -> list[tuple[M, asyncio.Future[T]]]:
        quiet, before = 0, 0
        while quiet < QUIET_TURNS and len(self._waiting) < MOST:
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._waiting) == before else 0
            before = len(self._waiting)
        group: list[tuple[M, asyncio.Future[T]]] = []
        while self._waiting and len(group) < MOST:
            member, result = self._waiting.popleft()
            if not result.done():  # cancelled
                group.append((member, result))
        return group

    async def _finish(self, group: list[tuple[M, asyncio.Future[T]]]) -> None:
        try:
            results = await self._commit([member for member, _ in group])
        except Exception as error:  # noqa: BLE001 - whatever it is, each of them gets it
            for _, result in group:
                if not result.done():
                    result.set_exception(error)
        else:
            for (_, result), value in zip(group, results, strict=True):
                if not result.done():
                    result.set_result(value)
