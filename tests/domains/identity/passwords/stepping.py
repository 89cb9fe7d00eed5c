"""A scheme whose checks go on when a test says so."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from server.domains.identity.credentials.passwords.hashing import PasswordHashing
from server.domains.identity.credentials.passwords.policy import PasswordPolicy
from server.domains.identity.credentials.passwords.scheme import PasswordScheme

POLICY = PasswordPolicy(min_length=8)
SECONDS = 30  # by which what does not come never will


def niceness() -> int:
    """Of the thread that asks; 0 where threads have none."""
    if sys.platform != "linux":
        return 0
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@dataclass(frozen=True)
class Run:
    """Where something ran."""

    what: str
    thread: int = field(default_factory=threading.get_ident)
    name: str = field(default_factory=lambda: threading.current_thread().name)
    niceness: int = field(default_factory=niceness)


class SteppedScheme(PasswordScheme):
    """Each check is recorded as it begins, and waits for the test's `proceed`."""

    def __init__(self, rounds: int = 4) -> None:
        super().__init__({"1": bytes(32)}, "1", rounds)
        self.runs: list[Run] = []
        self._begun: asyncio.Queue[str] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._steps = threading.Semaphore(0)

    @property
    def order(self) -> list[str]:
        return [run.what for run in self.runs]

    def verify(self, password: str, stored: str | None) -> bool:
        self._step(password)
        return password == stored

    def hash(self, password: str) -> str:
        self._step(password)
        return password

    def _step(self, password: str) -> None:
        self.runs.append(Run(password))
        self._loop.call_soon_threadsafe(self._begun.put_nowait, password)
        assert self._steps.acquire(timeout=SECONDS)
        if password == "broken":
            raise RuntimeError(password)

    async def begun(self) -> str:
        """The next check that has begun."""
        return await asyncio.wait_for(self._begun.get(), SECONDS)

    def proceed(self, checks: int = 1) -> None:
        self._steps.release(checks)


class SteppedHashing(PasswordHashing):
    """It says when a thread has handed over a result, which the event loop may not have seen yet."""

    def __init__(self, scheme: PasswordScheme, hashers: int, longest_wait: float) -> None:
        super().__init__(scheme, POLICY, hashers=hashers, longest_wait=longest_wait)
        self._left = threading.Semaphore(0)

    def _leave_thread(self, work: Any, done: Any) -> None:
        super()._leave_thread(work, done)
        self._left.release()

    def wait_for_thread(self) -> None:
        """Stop the event loop until then."""
        assert self._left.acquire(timeout=SECONDS)


class Callers:
    """Calls to one hashing; each waits in a task of its own."""

    def __init__(self, hashing: SteppedHashing, scheme: SteppedScheme) -> None:
        self.hashing = hashing
        self.scheme = scheme
        self.tasks: list[asyncio.Task[bool]] = []

    async def call(self, password: str, *, known_device: bool = False) -> asyncio.Task[bool]:
        """A call that has its place, and its check begun or in the queue. Raises Unavailable."""
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def call() -> bool:
            try:
                async with self.hashing.place(known_device=known_device) as place:
                    admitted.set_result(None)
                    return await place.verify(password, password)
            except BaseException as error:
                if not admitted.done():
                    admitted.set_exception(error)
                raise

        task = asyncio.create_task(call())
        self.tasks.append(task)
        await admitted
        return task

    async def fill(self, calls: int, *, known_device: bool = False) -> list[asyncio.Task[bool]]:
        return [
            await self.call(f"{known_device}{number}", known_device=known_device)
            for number in range(calls)
        ]


@asynccontextmanager
async def callers(
    *, hashers: int = 1, rounds: int = 4, longest_wait: float = 60.0
) -> AsyncIterator[Callers]:
    scheme = SteppedScheme(rounds)
    hashing = SteppedHashing(scheme, hashers, longest_wait)
    made = Callers(hashing, scheme)
    try:
        yield made
    finally:
        scheme.proceed(1_000)
        await hashing.stop()
        await asyncio.gather(*made.tasks, return_exceptions=True)
