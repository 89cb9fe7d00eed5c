"""Second factors are counted apart, by user: who fails there has the password."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.domains.identity.credentials.lockout.model import MOST_SECOND_FACTORS, SECOND_FACTORS
from server.domains.identity.errors import AccountLocked
from server.storage.driver import ClientSession
from tests.domains.identity.lockout.world import ANN, ANNS_NAME, BOB, World

LOCK = timedelta(minutes=15)


async def attempt(world: World, user: str = ANN) -> timedelta | None:
    """None if the code may be compared, or the wait; the longest there is if it has no end."""
    try:
        await world.second_factors.attempt(user)
    except AccountLocked as error:
        return error.retry_after or timedelta.max
    return None


async def fail(world: World, times: int, user: str = ANN) -> list[bool]:
    """Failures that are let through; for each whether the owner is to be notified."""
    notified = []
    for _ in range(times):
        assert await attempt(world, user) is None
        notified.append(await world.second_factors.failed(user, "ann"))
    return notified


async def test_ten_failures_lock_for_a_quarter_of_an_hour(world: World) -> None:
    await fail(world, SECOND_FACTORS)
    assert await attempt(world) == LOCK
    world.clock.turn(minutes=15, milliseconds=-1)
    assert await attempt(world) == timedelta(seconds=1)
    world.clock.turn(milliseconds=1)
    # The count has no end of its own, so pauses help nobody.
    await fail(world, SECOND_FACTORS - 1)
    world.clock.turn(days=30)
    await fail(world, 1)
    assert await attempt(world) == LOCK


async def test_many_at_once_are_ten(world: World) -> None:
    waits = await asyncio.gather(*(attempt(world) for _ in range(50)))
    assert waits.count(None) == SECOND_FACTORS


async def test_after_a_hundred_only_other_means_help(world: World) -> None:
    for _ in range(MOST_SECOND_FACTORS // SECOND_FACTORS):
        await fail(world, SECOND_FACTORS)
        world.clock.turn(days=1)
    assert await attempt(world) == timedelta.max
    assert await attempt(world) == timedelta.max
    with pytest.raises(AccountLocked, match="recovery code"):
        await world.second_factors.attempt(ANN)
    assert [document for document in await world.documents() if "expiresAt" in document] == []
    await world.second_factors.clear(ANN)
    await fail(world, SECOND_FACTORS)


async def test_the_owner_is_notified_at_the_fifth_failure_in_a_row(world: World) -> None:
    assert await fail(world, 9) == [number == 5 for number in range(1, 10)]
    assert await attempt(world) is None
    await world.second_factors.clear(ANN)
    assert await fail(world, 9) == [number == 5 for number in range(1, 10)]


async def test_the_owner_is_notified_once_if_five_fail_at_one_moment(world: World) -> None:
    await asyncio.gather(*(attempt(world) for _ in range(8)))
    notified = await asyncio.gather(*(world.second_factors.failed(ANN, "ann") for _ in range(8)))
    assert sum(notified) == 1


async def test_it_is_not_the_count_of_passwords(world: World) -> None:
    await fail(world, SECOND_FACTORS)
    assert await world.is_open(ANNS_NAME)
    assert await attempt(world, BOB) is None
    # A reset leaves second factors as they are, also how often they failed.
    await world.lockout.clear_user(ANN, [ANNS_NAME])
    await world.lockout.succeeded(ANNS_NAME)
    assert await attempt(world) == LOCK
    await world.fail_all(ANNS_NAME, 5)
    await world.second_factors.clear(ANN)
    assert await attempt(world) is None
    assert not await world.is_open(ANNS_NAME)


async def test_a_success_that_is_undone_forgets_nothing(world: World) -> None:
    await fail(world, SECOND_FACTORS)

    async def login(session: ClientSession) -> None:
        await world.second_factors.clear(ANN, session)
        raise LookupError

    with pytest.raises(LookupError):
        await world.database.transact(login)
    assert await attempt(world) == LOCK


async def test_a_failure_after_the_success_is_not_counted(world: World) -> None:
    assert await world.second_factors.failed(ANN, "ann") is False
    assert await world.documents() == []


async def test_events(world: World) -> None:
    for _ in range(2):
        await fail(world, SECOND_FACTORS)
        world.clock.turn(minutes=15)
    about = {"userId": "ann", "fields": ["secondFactor"]}
    locked = {"action": "login.locked", **about}
    assert await world.events() == [
        {"action": "login.failed", **about, "count": 5},
        {"action": "login.failed", **about, "count": 10},
        locked,
        {"action": "login.failed", **about, "count": 15},
        {"action": "login.failed", **about, "count": 20},
        locked,
    ]
