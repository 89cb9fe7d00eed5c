"""A platform's rate limit on a real MongoDB: calls get slots one spacing apart, whoever asks."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.domains.connectors.connections import rate_limits
from server.domains.connectors.connections.rate_limits import (
    LATE_SECONDS,
    RATE_LIMITS,
    RateLimiter,
    SessionLocks,
)
from server.platforms.base import OverRateLimit, Throttled
from server.storage.driver import Database
from server.storage.indexes import ensure_indexes
from server.storage.leases import LeaseBusy, Leases
from tests.domains.connectors.sync_world import World

SPACING = timedelta(milliseconds=100)
ALL_DAY = timedelta(hours=1)
NOW = timedelta(0)


class Sleeps:
    """Notes the waits instead of waiting."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
async def database(world: World) -> Database:
    """With nothing used up."""
    await world.database.collection(RATE_LIMITS).delete_many({})
    return world.database


async def free_moment(database: Database) -> float:
    """The next free moment of the only key there is, in seconds."""
    (document,) = await database.collection(RATE_LIMITS).find().to_list(None)
    return float(document["nextFree"].timestamp())


async def test_calls_of_many_workers_get_slots_one_spacing_apart(database: Database) -> None:
    workers = [RateLimiter(database, "zerodha", SPACING, Sleeps()) for _ in range(4)]
    await workers[0].take("key", ALL_DAY)
    first = await free_moment(database)
    await asyncio.gather(*(workers[number % 4].take("key", ALL_DAY) for number in range(20)))
    # Each call moved the free moment on by at least one spacing, however they raced.
    assert await free_moment(database) - first >= 20 * SPACING.total_seconds() - 0.001


@pytest.fixture
def never_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy this machine is."""
    monkeypatch.setattr(rate_limits, "LATE_SECONDS", 3_600.0)


@pytest.mark.usefixtures("never_late")
async def test_the_wait_is_until_the_slot(database: Database) -> None:
    sleeps = Sleeps()
    limiter = RateLimiter(database, "zerodha", ALL_DAY / 2, sleeps)
    await limiter.take("key", ALL_DAY)
    await limiter.take("key", ALL_DAY)
    first, second = sleeps.seconds
    assert first == 0
    assert ALL_DAY.total_seconds() / 2 - 60 < second <= ALL_DAY.total_seconds() / 2


@pytest.mark.usefixtures("never_late")
async def test_a_call_that_would_wait_too_long_fails_and_uses_nothing_up(
    database: Database,
) -> None:
    limiter = RateLimiter(database, "zerodha", ALL_DAY, Sleeps())
    await limiter.take("key", NOW)
    before = await free_moment(database)
    for place in (1, 2, 3):  # one behind the other
        with pytest.raises(OverRateLimit) as refused:
            await limiter.take("key", timedelta(seconds=1))
        wait = refused.value.retry_after
        assert wait is not None
        assert place * ALL_DAY - timedelta(minutes=1) < wait <= place * ALL_DAY
    assert await free_moment(database) == before
    # Whoever is willing to wait still gets the next moment.
    await limiter.take("key", ALL_DAY)
    assert await free_moment(database) == before + ALL_DAY.total_seconds()


@pytest.mark.usefixtures("never_late")
async def test_calls_that_were_asked_for_together_come_one_spacing_apart(
    database: Database,
) -> None:
    sleeps = Sleeps()
    limiter = RateLimiter(database, "zerodha", ALL_DAY, sleeps)
    slots = await limiter.reserve("key", NOW, 3)
    for slot in slots:
        await slot()
    assert [round(seconds, -2) for seconds in sleeps.seconds] == [
        place * ALL_DAY.total_seconds() for place in range(3)
    ]
    with pytest.raises(OverRateLimit) as refused:
        await limiter.reserve("key", NOW, 2)
    assert round((refused.value.retry_after or NOW) / ALL_DAY) == 3
    with pytest.raises(OverRateLimit) as refused:  # behind both calls of that one
        await limiter.take("key", NOW)
    assert round((refused.value.retry_after or NOW) / ALL_DAY) == 5


async def test_a_call_that_is_late_lets_its_moment_pass(database: Database) -> None:
    slept: list[float] = []

    async def oversleeps_once(seconds: float) -> None:
        await asyncio.sleep(0 if slept else LATE_SECONDS * 1.5)
        slept.append(seconds)

    limiter = RateLimiter(database, "zerodha", ALL_DAY, oversleeps_once)
    await limiter.take("key", ALL_DAY)
    assert [round(seconds, -1) for seconds in slept] == [0, ALL_DAY.total_seconds()]


async def test_keys_and_platforms_do_not_share(database: Database) -> None:
    limiter = RateLimiter(database, "zerodha", ALL_DAY, Sleeps())
    await limiter.take("one", NOW)
    await limiter.take("another", NOW)
    await RateLimiter(database, "elsewhere", ALL_DAY, Sleeps()).take("one", NOW)
    with pytest.raises(OverRateLimit):
        await limiter.take("one", NOW)


async def test_the_key_itself_is_not_stored(database: Database) -> None:
    await ensure_indexes(database, rate_limits.INDEXES)
    await RateLimiter(database, "zerodha", SPACING, Sleeps()).take("my_api_key", NOW)
    (document,) = await database.collection(RATE_LIMITS).find().to_list(None)
    assert "my_api_key" not in repr(document)


async def test_locks_of_a_key_come_one_after_another_over_processes(database: Database) -> None:
    ours, theirs = (
        SessionLocks(Leases(database), "fi", longest_wait) for longest_wait in (ALL_DAY, NOW)
    )
    inside = 0

    async def call() -> None:
        nonlocal inside
        async with ours.acquire("session"):
            inside += 1
            with pytest.raises(Throttled):
                async with theirs.acquire("session"):
                    pass
            async with theirs.acquire("another session"):
                pass
            assert inside == 1
            inside -= 1

    async with asyncio.timeout(30):
        await asyncio.gather(*(call() for _ in range(3)))
    async with theirs.acquire("session"):
        pass


async def test_what_fails_under_a_lock_stays_what_it_is(database: Database) -> None:
    with pytest.raises(LeaseBusy):
        async with SessionLocks(Leases(database), "fi").acquire("session"):
            raise LeaseBusy
