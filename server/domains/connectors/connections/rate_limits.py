"""How fast a platform may be called, and how many at a time, shared by all workers through MongoDB.

A rate limit is the generic cell rate algorithm: a key's next free moment moves on by one spacing with
each call. It is kept on MongoDB's clock, so the clocks of workers do not matter. Session locks are leases.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial

from pymongo import IndexModel

from server.core.clock import milliseconds
from server.domains.connectors.connections import expressions as x
from server.platforms.base import OverRateLimit, Slot, Throttled
from server.storage.driver import Database, Document
from server.storage.leases import LeaseBusy, Leases
from server.storage.updates import upsert

RATE_LIMITS = "platform_rate_limits"
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    RATE_LIMITS: [IndexModel("nextFree", expireAfterSeconds=3600)]
}

# A call that this process, being busy, would make this much after its moment lets it pass and takes
# another: late, it would come too close to the calls behind it.
LATE_SECONDS = 0.05
LATE_WAIT = timedelta(seconds=30)  # at least with that one, as what it is for has begun

_NOW = "$$NOW"


class RateLimiter:
    """At most one call of a key each `spacing`, with no bursts.

    Who would have to wait longer than they are willing to is refused instead and uses nothing up, so
    that one key's backlog does not hold up what else a worker could do. Refused callers are asked to come
    back one after another, one each `spacing`, rather than all at the next free moment.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        spacing: timedelta,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rate_limits = database.collection(RATE_LIMITS)
        self._name = name
        self._spacing = milliseconds(spacing)
        self._sleep = sleep

    async def take(self, key: str, longest_wait: timedelta) -> None:
        """Wait for the next free moment of `key`.

        Raises OverRateLimit where that is more than `longest_wait` away, with when to come back.
        """
        (slot,) = await self.reserve(key, longest_wait, 1)
        await slot()

    async def reserve(self, key: str, longest_wait: timedelta, calls: int) -> Sequence[Slot]:
        """The next free moments of `key`, for calls that follow each other; each slot is awaited once.

        Raises OverRateLimit where the first is more than `longest_wait` away, with when to come back.
        """
        asked = asyncio.get_running_loop().time()
        first = await self._reserve(key, longest_wait, calls)
        returned = asyncio.get_running_loop().time()
        spacing = self._spacing / 1000
        return [
            partial(self._wait, key, longest_wait, first + place * spacing, asked, returned)
            for place in range(calls)
        ]

    async def _wait(
        self, key: str, longest_wait: timedelta, seconds: float, asked: float, returned: float
    ) -> None:
        """Wait until so many seconds after the reply; for another moment where that is missed."""
        now = asyncio.get_running_loop().time
        await self._sleep(max(0.0, returned + seconds - now()))
        if now() - asked - seconds > LATE_SECONDS:
            await self._sleep(await self._reserve(key, max(longest_wait, LATE_WAIT), 1))

    async def _reserve(self, key: str, longest_wait: timedelta, calls: int) -> float:
        """Take as many moments; in how many seconds the first of them is."""
        identifier = f"{self._name}/{hashlib.sha256(key.encode()).hexdigest()}"
        document = await self._update(identifier, milliseconds(longest_wait), calls * self._spacing)
        wait: timedelta = document["slot"] - document["asked"]
        if not document["granted"]:
            raise OverRateLimit("Too many calls of this app are waiting for the platform", wait)
        return wait.total_seconds()

    async def _update(self, identifier: str, longest_wait: int, taken: int) -> Document:
        """All in milliseconds."""
        free = {"$max": [_NOW, "$nextFree"]}
        granted = {"$lte": ["$slot", {"$add": [_NOW, longest_wait]}]}
        after = {"$add": ["$slot", taken]}
        return await upsert(
            self._rate_limits,
            identifier,
            {"asked": _NOW, "slot": free},
            {"granted": granted},
            {"slot": x.when("$granted", "$slot", {"$max": ["$slot", "$comeBack"]})},
            {
                "nextFree": x.when("$granted", after, "$nextFree"),
                "comeBack": x.when("$granted", "$comeBack", after),
            },
        )


class SessionLocks:
    """One call of a key at a time."""

    def __init__(
        self, leases: Leases, name: str, timeout: timedelta = timedelta(seconds=15)
    ) -> None:
        self._leases = leases
        self._name = name
        self._timeout = timeout

    @asynccontextmanager
    async def acquire(self, key: str) -> AsyncIterator[None]:
        """Lock `key` while inside. Raises Throttled if it cannot be had in time."""
        async with AsyncExitStack() as stack:
            try:
                lease = self._leases.acquire(f"{self._name}/{key}", self._timeout)
                await stack.enter_async_context(lease)
            except LeaseBusy:
                raise Throttled("Another call of this session takes too long") from None
            yield
