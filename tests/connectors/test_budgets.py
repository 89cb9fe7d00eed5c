"""A platform's budget on a real MongoDB: calls get slots one spacing apart, whoever asks."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.connectors import budgets
from server.connectors.budgets import BUDGETS, Budget
from server.connectors.platforms.base import Throttled
from server.storage.driver import Database
from server.storage.indexes import ensure_indexes
from tests.connectors.sync_world import World

SPACING = timedelta(milliseconds=100)
ALL_DAY = timedelta(hours=1)


class Sleeps:
    """Notes the waits instead of waiting."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
async def database(world: World) -> Database:
    """With no budget used up."""
    await world.database.collection(BUDGETS).delete_many({})
    return world.database


async def free_moment(database: Database) -> float:
    """The next free moment of the only key there is, in seconds."""
    (document,) = await database.collection(BUDGETS).find().to_list(None)
    return float(document["nextFree"].timestamp())


async def test_calls_of_many_workers_get_slots_one_spacing_apart(database: Database) -> None:
    workers = [Budget(database, "zerodha", SPACING, ALL_DAY, Sleeps()) for _ in range(4)]
    await workers[0].take("key")
    first = await free_moment(database)
    await asyncio.gather(*(workers[number % 4].take("key") for number in range(40)))
    # Each call moved the free moment on by at least one spacing, however they raced.
    assert await free_moment(database) - first >= 40 * SPACING.total_seconds() - 0.001


async def test_the_wait_is_until_the_slot(database: Database) -> None:
    sleeps = Sleeps()
    budget = Budget(database, "zerodha", ALL_DAY / 2, ALL_DAY, sleeps)
    await budget.take("key")
    await budget.take("key")
    first, second = sleeps.seconds
    assert first == 0
    assert ALL_DAY.total_seconds() / 2 - 60 < second <= ALL_DAY.total_seconds() / 2


async def test_who_would_wait_too_long_is_told_and_uses_nothing_up(database: Database) -> None:
    budget = Budget(database, "zerodha", ALL_DAY, timedelta(seconds=1), Sleeps())
    await budget.take("key")
    before = await free_moment(database)
    for _ in range(3):
        with pytest.raises(Throttled) as refused:
            await budget.take("key")
        wait = refused.value.retry_after
        assert wait is not None
        assert ALL_DAY - timedelta(minutes=1) < wait <= ALL_DAY
    assert await free_moment(database) == before


async def test_keys_and_platforms_do_not_share(database: Database) -> None:
    budget = Budget(database, "zerodha", ALL_DAY, timedelta(0), Sleeps())
    await budget.take("one")
    await budget.take("another")
    await Budget(database, "elsewhere", ALL_DAY, timedelta(0), Sleeps()).take("one")
    with pytest.raises(Throttled):
        await budget.take("one")


async def test_the_key_itself_is_not_stored(database: Database) -> None:
    await ensure_indexes(database, budgets.INDEXES)
    await Budget(database, "zerodha", SPACING, ALL_DAY, Sleeps()).take("my_api_key")
    (document,) = await database.collection(BUDGETS).find().to_list(None)
    assert "my_api_key" not in repr(document)
