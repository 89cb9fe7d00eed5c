"""Work on passwords, in threads of its own behind a bounded queue.

A hash takes a core for a fifth of a second, so a machine can do only a few logins a second. They are done in
a few threads of low priority, never on the event loop nor in its default pool, so that other calls go on. A
call that cannot be served soon is rejected before the user of a name is looked up.
"""

import asyncio
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from server.core.errors import Unavailable
from server.domains.identity.credentials.passwords import metrics
from server.domains.identity.credentials.passwords.policy import PasswordPolicy
from server.domains.identity.credentials.passwords.scheme import PasswordScheme

T = TypeVar("T")
Kind: TypeAlias = Literal["verify", "hash", "score"]
Device: TypeAlias = Literal["known", "unknown"]

MOST_WAITING = 16  # of each device
LONGEST_WAIT = 5.0  # seconds
NICENESS = 10
# Until the first hash was measured: seconds at 12 rounds, each further round doubles them.
_FIRST_GUESS, _ROUNDS_OF_GUESS = 0.25, 12
_WEIGHT = 0.2  # of the newest hash in the mean


class Place:
    """An admission to work on one user's password; see `PasswordHashing.place`."""

    def __init__(self, hashing: "PasswordHashing", device: Device) -> None:
        self._hashing = hashing
        self.device = device
        self.waits = False
        self.is_served = False  # its first work has begun

    async def verify(self, password: str, stored: str | None) -> bool:
        """Whether the password is right; None is the stored hash of nobody, and takes as long.

        Raises Unavailable, as all of these.
        """
        return await self._hashing.run(
            self, "verify", partial(self._hashing.scheme.verify, password, stored)
        )

    async def hash(self, password: str) -> str:
        """The text to store of a password."""
        return await self._hashing.run(self, "hash", partial(self._hashing.scheme.hash, password))

    async def check_new_password(
        self,
        password: str,
        *,
        user_id: str | None = None,
        email: str | None = None,
        names: Sequence[str] = (),
    ) -> str | None:
        """The message for the field; None if the password may be set. See `PasswordPolicy`."""
        check = partial(
            self._hashing.policy.check_new_password,
            password,
            user_id=user_id,
            email=email,
            names=names,
        )
        return await self._hashing.run(self, "score", check)


@dataclass(frozen=True, eq=False)
class _Work(Generic[T]):
    place: Place
    kind: Kind
    call: Callable[[], T]
    result: asyncio.Future[T]

    def timed(self) -> tuple[T, float]:
        """The result, and the seconds that it took."""
        began = time.monotonic()
        return self.call(), time.monotonic() - began


class PasswordHashing:
    def __init__(
        self,
        scheme: PasswordScheme,
        policy: PasswordPolicy,
        *,
        hashers: int = 1,
        longest_wait: float = LONGEST_WAIT,
    ) -> None:
        """`hashers` are the threads, `longest_wait` is in seconds."""
        self.scheme = scheme
        self.policy = policy
        self._hashers = hashers
        self._longest_wait = longest_wait
        self._pool = ThreadPoolExecutor(hashers, "password-hasher", initializer=_lower_priority)
        # In the order in which they are served.
        self._queues: dict[Device, deque[_Work[Any]]] = {"known": deque(), "unknown": deque()}
        self._waiting: dict[Device, int] = {"known": 0, "unknown": 0}  # places
        self._running = 0
        self._mean = _FIRST_GUESS * 2.0 ** (scheme.rounds - _ROUNDS_OF_GUESS)  # seconds of a hash
        self._stopped = False
        metrics.show_zeros()

    @asynccontextmanager
    async def place(self, *, known_device: bool) -> AsyncIterator[Place]:
        """A place in the queue, taken before the user is looked up and left before anything is stored.

        Raises Unavailable at once, with when to come again, if it would wait for longer than `longest_wait`
        or as many of its kind wait already.
        """
        device: Device = "known" if known_device else "unknown"
        self._check_running()
        if (
            self._waiting[device] >= MOST_WAITING
            or self._estimated_wait(device) > self._longest_wait
        ):
            raise self._rejected(device)
        place = Place(self, device)
        self._set_waiting(place, True)
        try:
            yield place
        finally:
            self._set_waiting(place, False)

    async def stop(self) -> None:
        """Reject those who wait, and wait for what runs: a hash cannot be interrupted."""
        self._stopped = True
        for queue in self._queues.values():
            for work in queue:
                if not work.result.done():
                    work.result.set_exception(Unavailable())
            queue.clear()
        await asyncio.to_thread(self._pool.shutdown)

    async def run(self, place: Place, kind: Kind, call: Callable[[], T]) -> T:
        """The result of `call`, made in a thread of low priority once it is this place's turn.

        Raises Unavailable if that does not come within `longest_wait`.
        """
        self._check_running()
        loop = asyncio.get_running_loop()
        work: _Work[T] = _Work(place, kind, call, loop.create_future())
        queue = self._queues[place.device]
        if place.is_served:  # it has waited before
            queue.appendleft(work)
        else:
            queue.append(work)
        self._set_waiting(place, True)
        timeout = loop.call_later(self._longest_wait, self._expire, work)
        self._start()
        try:
            return await work.result
        finally:
            timeout.cancel()
            if work in queue:
                queue.remove(work)

    def _start(self) -> None:
        """Have the threads that are free take what waits."""
        while self._running < self._hashers and (work := self._next()) is not None:
            self._running += 1
            work.place.is_served = True
            self._set_waiting(work.place, False)
            self._pool.submit(work.timed).add_done_callback(partial(self._leave_thread, work))

    def _next(self) -> _Work[Any] | None:
        for queue in self._queues.values():
            while queue:
                work = queue.popleft()
                if not work.result.done():  # cancelled, or rejected
                    return work
        return None

    def _leave_thread(self, work: _Work[Any], done: Future[tuple[Any, float]]) -> None:
        work.result.get_loop().call_soon_threadsafe(self._finish, work, done)

    def _finish(self, work: _Work[Any], done: Future[tuple[Any, float]]) -> None:
        self._running -= 1
        error = done.exception()
        if error is None:
            value, seconds = done.result()
            metrics.WORK.labels(work.kind).observe(seconds)
            if work.kind != "score":
                self._mean += (seconds - self._mean) * _WEIGHT
            if not work.result.done():
                work.result.set_result(value)
        elif not work.result.done():
            work.result.set_exception(error)
        self._start()

    def _expire(self, work: _Work[Any]) -> None:
        """It has waited for too long, as others came before it or hashes became slower."""
        if work in self._queues[work.place.device] and not work.result.done():
            work.result.set_exception(self._rejected(work.place.device))

    def _check_running(self) -> None:
        if self._stopped:
            raise Unavailable

    def _rejected(self, device: Device) -> Unavailable:
        metrics.REJECTED.labels(device).inc()
        wait = math.ceil(self._estimated_wait(device))
        return Unavailable(retry_after=timedelta(seconds=max(1, wait)))

    def _estimated_wait(self, device: Device) -> float:
        """Seconds until a call that comes now would have its turn."""
        ahead = self._running + self._waiting["known"]
        if device == "unknown":
            ahead += self._waiting["unknown"]
        return max(0, ahead - self._hashers + 1) * self._mean / self._hashers

    def _set_waiting(self, place: Place, waits: bool) -> None:
        if place.waits != waits:
            place.waits = waits
            self._waiting[place.device] += 1 if waits else -1
            metrics.WAITING.labels(place.device).set(self._waiting[place.device])


def _lower_priority() -> None:
    """Of the thread that calls it. Elsewhere than on Linux a thread has no priority of its own."""
    if sys.platform == "linux":
        with suppress(OSError):  # it is lower already, and only root may raise it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
