"""An address from which the logins of many names fail is refused for a while."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.core.addresses import network_of
from server.core.errors import RateLimited
from server.core.events import Actor
from server.domains.identity.credentials.lockout.addresses import (
    MANY_IN_ALL,
    MANY_OF_ADDRESS,
    MANY_OF_ADDRESS_THEN,
    STOP,
    SUSPICION,
)
from server.domains.identity.credentials.lockout.model import Name
from server.domains.identity.credentials.lockout.store import LOGIN_FAILURES
from tests.domains.identity.lockout.world import ANN, ANNS_NAME, HERE, World, as_actor

ELSEWHERE = Actor("caller", address="192.0.2.2")
SERVICE = Actor("caller", address="192.0.2.3", key="app")


def name(number: int) -> Name:
    return Name("email", f"{number}@example.com")


async def sprayed(world: World, count: int, actor: Actor = HERE, *, first: int = 0) -> list[str]:
    """One wrong password each for so many names."""
    return [await world.fail_from(name(first + number), actor) for number in range(count)]


async def wait(world: World, actor: Actor = HERE) -> timedelta | None:
    """How long the address of an actor is refused, if it is."""
    try:
        await as_actor(actor, world.addresses.check)
    except RateLimited as error:
        assert error.retry_after  # noqa: PT017 - that there is one is told by the type alone
        return error.retry_after
    return None


async def test_many_names_from_one_address(world: World) -> None:
    assert set(await sprayed(world, MANY_OF_ADDRESS - 1)) == {"failed"}
    assert await wait(world) is None
    await sprayed(world, 1, first=MANY_OF_ADDRESS)
    assert await wait(world) == STOP == timedelta(minutes=15)
    assert await sprayed(world, 1, first=1000) == ["refused"]
    assert await wait(world, ELSEWHERE) is None
    world.clock.turn(minutes=15, milliseconds=-1)
    assert await wait(world) == timedelta(seconds=1)
    world.clock.turn(milliseconds=1)
    assert await sprayed(world, 1, first=1000) == ["failed"]


async def test_it_is_recorded_once_a_refusal(world: World) -> None:
    await sprayed(world, MANY_OF_ADDRESS + 10)
    (event,) = await world.trail.find({"action": SUSPICION}, 10)
    assert (event.get("userId"), event["actor"]["address"]) == (None, HERE.address)
    assert world.suspicions == 1
    world.clock.turn(minutes=15)
    await sprayed(world, MANY_OF_ADDRESS + 10)
    assert len(await world.trail.find({"action": SUSPICION}, 10)) == 2
    assert world.suspicions == 2


async def failed(world: World, name: Name, actor: Actor = HERE) -> None:
    """The end of a login that was under way, whatever has become of the name and the address since."""
    await as_actor(actor, lambda: world.addresses.failed(name))


async def test_one_name_many_times_is_one_name(world: World) -> None:
    for _ in range(2 * MANY_OF_ADDRESS):
        await failed(world, ANNS_NAME)
    assert await wait(world) is None


async def test_logins_that_were_under_way_as_it_was_refused_change_nothing(world: World) -> None:
    await sprayed(world, MANY_OF_ADDRESS)
    world.clock.turn(minutes=1)
    for number in range(10):
        await failed(world, name(1000 + number))
    assert await wait(world) == timedelta(minutes=14)
    assert len(await world.trail.find({"action": SUSPICION}, 10)) == 1


async def test_names_count_for_ten_minutes(world: World) -> None:
    await sprayed(world, MANY_OF_ADDRESS - 1)
    world.clock.turn(minutes=10)
    await sprayed(world, MANY_OF_ADDRESS - 1, first=1000)
    assert await wait(world) is None


async def test_who_signs_in_is_no_attack(world: World) -> None:
    """As in an office behind one address."""
    for number in range(2 * MANY_OF_ADDRESS):
        assert await world.is_open(name(number))
        await world.lockout.succeeded(name(number))
    assert await wait(world) is None


async def test_refused_logins_count_for_nobody(world: World) -> None:
    await sprayed(world, MANY_OF_ADDRESS)
    for _ in range(10):
        assert await world.fail_from(ANNS_NAME, HERE) == "refused"
    await world.fail_all(ANNS_NAME, 5, ELSEWHERE)


async def test_known_devices_and_sessions_pass(world: World) -> None:
    await sprayed(world, MANY_OF_ADDRESS)
    device, session = world.device(), Name("session", "s-1", ANN)
    assert await world.is_open(device)
    assert await world.is_open(session)


async def test_what_known_devices_mistype_is_no_attack(world: World) -> None:
    for _ in range(MANY_OF_ADDRESS):
        await world.fail(world.device())
    assert await wait(world) is None


async def test_a_service_with_a_key_has_the_names_of_many(world: World) -> None:
    assert set(await sprayed(world, MANY_OF_ADDRESS + 1, SERVICE)) == {"failed"}
    assert await wait(world, SERVICE) is None


async def test_an_address_is_a_network(world: World) -> None:
    for number in range(MANY_OF_ADDRESS):
        one = Actor("caller", address=f"2001:db8::{number:x}")
        await world.fail_from(name(number), one)
    assert await wait(world, Actor("caller", address="2001:db8::ffff:1")) == STOP
    assert await wait(world, Actor("caller", address="2001:db8:0:1::1")) is None


async def test_many_at_once(world: World) -> None:
    """They all begin before one has failed; afterwards the address is refused, and told once."""
    await asyncio.gather(
        *(world.fail_from(name(number), HERE) for number in range(MANY_OF_ADDRESS))
    )
    assert await wait(world) == STOP
    assert len(await world.trail.find({"action": SUSPICION}, 10)) == 1


async def from_everywhere(world: World, count: int) -> None:
    """One wrong password each for so many names, each from an address of its own."""
    for begin in range(0, count, 20):
        numbers = range(begin, min(begin + 20, count))
        actors = [Actor("caller", address=f"198.51.{n // 250}.{n % 250}") for n in numbers]
        await asyncio.gather(*map(world.fail_from, map(name, numbers), actors))


@pytest.mark.full_only
async def test_many_names_from_many_addresses(world: World) -> None:
    await from_everywhere(world, MANY_IN_ALL - 1)
    await world.fail(world.device())  # none of them
    await world.fail_from(name(0), ELSEWHERE)
    assert await world.trail.find({"action": SUSPICION}, 10) == []
    await sprayed(world, MANY_OF_ADDRESS_THEN - 2, ELSEWHERE, first=1000)
    (event,) = await world.trail.find({"action": SUSPICION}, 10)
    assert "userId" not in event
    # Who has mistyped one name or two can go on; an address with a few is part of it.
    assert await wait(world, ELSEWHERE) is None
    await sprayed(world, 1, ELSEWHERE, first=2000)
    assert await wait(world, ELSEWHERE) == STOP
    assert await wait(world) is None
    assert len(await world.trail.find({"action": SUSPICION}, 10)) == 1
    assert world.suspicions == 1
    # Once the attack is over, an address may have as many as ever.
    world.clock.turn(minutes=10)
    await sprayed(world, MANY_OF_ADDRESS_THEN, HERE, first=3000)
    assert await wait(world) is None


@pytest.mark.full_only
async def test_an_attack_that_goes_on_is_recorded_each_ten_minutes(world: World) -> None:
    await from_everywhere(world, MANY_IN_ALL)
    failures = world.database.collection(LOGIN_FAILURES)
    for alarms in (1, 1, 2, 2, 3):
        await failures.update_many(
            {"failedAt": {"$exists": True}}, {"$set": {"failedAt": world.clock.at}}
        )
        await world.fail_from(ANNS_NAME, ELSEWHERE)
        assert len(await world.trail.find({"action": SUSPICION}, 10)) == alarms
        world.clock.turn(minutes=5)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("ipv4:192.0.2.1:50123", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("ipv6:%5B2001:db8:1:2::9%5D:50123", "2001:db8:1:2::/64"),
        ("unix:", None),
        ("unix:/run/worker-0.sock", None),
        ("peer", None),
        ("", None),
    ],
)
def test_networks(address: str, network: str | None) -> None:
    assert network_of(address) == network
