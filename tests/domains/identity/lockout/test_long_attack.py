"""Hours of wrong passwords for one name, from a thousand addresses, as its owner and nobody see it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from server.core.events import Actor
from server.domains.identity.credentials.lockout.model import Name
from tests.domains.identity.lockout.world import ANNS_NAME, NOBODYS_NAME, World

HOURS, FULL_HOURS = 1, 24
A_MINUTE = 5  # attempts
ADDRESSES = [
    Actor("caller", address=f"198.51.{number // 250}.{number % 250}") for number in range(1000)
]
HOME = Actor("caller", address="203.0.113.7")


async def test_the_owner_is_never_kept_out(world: World, pytestconfig: pytest.Config) -> None:
    hours = FULL_HOURS if pytestconfig.getoption("--full") else HOURS
    device, waits = world.device(), Counter[timedelta]()
    recorded: list[int] = []  # events in each minute

    async def login_at_home(minute: int) -> None:
        if minute % 10 == 9:
            await world.fail(device, HOME)  # mistyped
        assert await world.is_open(device, HOME)
        await world.lockout.succeeded(device)

    async def attack(name: Name, number: int) -> timedelta | None:
        actor = ADDRESSES[number % len(ADDRESSES)]
        return await world.fail(name, actor)

    for minute in range(60 * hours):
        for attempt in range(A_MINUTE):
            number = minute * A_MINUTE + attempt
            known, unknown = await asyncio.gather(
                attack(ANNS_NAME, number), attack(NOBODYS_NAME, number)
            )
            assert known == unknown, "a name that nobody has gets the same"
            if known is not None:
                waits[known] += 1
        await login_at_home(minute)
        recorded.append(len(await world.trail.find({}, 10_000)) - sum(recorded))
        world.clock.turn(minutes=1)
    assert max(recorded) < 10
    assert max(waits) <= timedelta(minutes=15)
    passed = 60 * hours * A_MINUTE - waits.total()
    assert passed <= 25 + 20 * hours, "passwords that were tried"

    events = await world.trail.find({}, 10_000)
    failed = Counter(event["action"] for event in events)
    assert failed.keys() == {"login.failed", "login.locked"}
    assert failed["login.failed"] == failed["login.locked"] == 2 * passed / 5
    assert {event.get("userId") for event in events} == {"ann", None}
