"""How many SMS may be sent: to a number, from an address, in all."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.core.errors import RateLimited
from server.core.events import Actor
from server.delivery.errors import DeliveryUnavailable
from server.domains.identity.credentials.phones.store import SMS_COUNTS
from tests.domains.identity.lockout.world import HERE, as_actor
from tests.domains.identity.phones.world import ANOTHER, NUMBER, World

SERVICE = Actor("caller", address="192.0.2.9", key="shop")


def number(which: int) -> str:
    return f"+9198765{which:05}"


def caller(which: int) -> Actor:
    return Actor("caller", address=f"198.51.{which // 250}.{which % 250 + 1}")


async def test_a_number_gets_one_a_minute_five_an_hour_ten_a_day(world: World) -> None:
    began, sent = world.clock.at, []
    for minute in (*range(7), 59, *range(60, 67), 130, 600, 1439):
        world.clock.at = began + timedelta(minutes=minute)
        if await world.take(NUMBER, caller(minute)) is None:
            sent.append(minute)
    assert sent == [0, 1, 2, 3, 4, 60, 61, 62, 63, 64]
    world.clock.turn(minutes=1)
    assert await world.take(NUMBER) is None, "the first was sent a day before"


async def test_the_wait_is_until_the_next_may_be_sent(world: World) -> None:
    await world.take(NUMBER)
    world.clock.turn(seconds=20.5)
    assert await world.take(NUMBER) == timedelta(seconds=40)
    for _ in range(4):
        world.clock.turn(minutes=1)
        assert await world.take(NUMBER) is None
    wait = await world.take(NUMBER)
    assert wait == timedelta(hours=1) - timedelta(minutes=4, seconds=20)
    world.clock.turn(seconds=wait.total_seconds())
    assert await world.take(NUMBER) is None


async def test_those_at_once_are_one(world: World) -> None:
    waits = await asyncio.gather(*(world.take(NUMBER, caller(each)) for each in range(30)))
    assert waits.count(None) == 1


async def test_a_flood_from_many_addresses_sends_five_an_hour(world: World) -> None:
    passed = 0
    for step in range(10):
        calls = [world.take(NUMBER, caller(step % 5 * 20 + each)) for each in range(20)]
        passed += (await asyncio.gather(*calls)).count(None)
        world.clock.turn(minutes=5)
    assert passed == 5


async def test_an_address_reaches_twenty_numbers_a_day(world: World) -> None:
    for which in range(20):
        assert await world.take(number(which)) is None
    world.clock.turn(minutes=2)
    wait = await world.take(number(20))
    assert wait == timedelta(days=1) - timedelta(minutes=2)
    assert await world.take(number(19)) is None, "a number that was counted before"
    assert await world.take(number(20), caller(1)) is None
    world.clock.turn(days=1)
    assert await world.take(number(21)) is None


async def test_numbers_of_an_address_at_once_are_twenty(world: World) -> None:
    waits = await asyncio.gather(*(world.take(number(which)) for which in range(40)))
    assert waits.count(None) == 20


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
    ],
    ids=["one /64", "two /64", "mapped"],
)
async def test_an_ipv6_address_is_its_network(
    world: World, one: str, other: str, together: bool
) -> None:
    for which in range(20):
        await world.take(number(which), Actor("caller", address=one))
    wait = await world.take(number(20), Actor("caller", address=other))
    assert (wait is not None) is together


async def test_a_service_s_address_is_that_of_many_users(world: World) -> None:
    for which in range(25):
        assert await world.take(number(which), SERVICE) is None
    assert await world.take(number(0), SERVICE) is not None, "a number's own limit holds"


async def test_all_have_an_hourly_allowance(world: World) -> None:
    world.limits = world.limits_of(3)

    async def taken(which: int) -> bool:
        try:
            await as_actor(caller(which), lambda: world.limits.take(number(which)))
        except DeliveryUnavailable:
            return False
        return True

    assert await taken(0)
    world.clock.turn(minutes=30)
    results = await asyncio.gather(*(taken(which) for which in range(1, 11)))
    assert results.count(True) == 2
    world.clock.turn(minutes=29)
    assert not await taken(11)
    world.clock.turn(minutes=2)
    assert await taken(12), "the first was sent an hour ago"
    assert not await taken(13)


async def test_the_limit_that_is_met_is_named(world: World) -> None:
    await world.take(NUMBER)
    with pytest.raises(RateLimited) as caught:
        await as_actor(HERE, lambda: world.limits.take(NUMBER))
    assert "this number" in caught.value.message
    assert NUMBER not in caught.value.message


async def test_nobody_reads_numbers_or_addresses_from_the_counts(world: World) -> None:
    for which in (NUMBER, ANOTHER):
        await world.take(which)
    documents = await world.documents(SMS_COUNTS)
    assert len(documents) == 4
    for document in documents:
        assert document["expiresAt"] > world.clock.now()
        for secret in (NUMBER, ANOTHER, NUMBER[1:], "192.0.2.1"):
            assert secret not in str(document)
