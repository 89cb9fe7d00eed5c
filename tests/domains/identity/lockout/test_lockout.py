"""After five failures a name is locked for a while, for everybody but known devices."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.domains.identity.credentials.lockout.model import ATTEMPTS, LOCKS, Name
from server.storage.driver import ClientSession
from tests.domains.identity.lockout.world import (
    ANN,
    ANNS_NAME,
    BOB,
    NOBODYS_NAME,
    NOWHERE,
    World,
)

MINUTES = [lock // timedelta(minutes=1) for lock in LOCKS]
both = pytest.mark.parametrize("name", [ANNS_NAME, NOBODYS_NAME], ids=["known", "unknown"])


@both
async def test_the_fifth_attempt_is_the_last(world: World, name: Name) -> None:
    await world.fail_all(name, ATTEMPTS)
    assert await world.attempt(name) == timedelta(minutes=1)
    world.clock.turn(seconds=59.5)
    assert await world.attempt(name) == timedelta(seconds=1)  # a whole one
    world.clock.turn(seconds=0.5)
    assert await world.is_open(name)


@both
async def test_a_hundred_at_once_are_five(world: World, name: Name) -> None:
    waits = await asyncio.gather(*(world.attempt(name) for _ in range(100)))
    assert waits.count(None) == ATTEMPTS
    assert set(waits) == {None, timedelta(minutes=1)}


@both
async def test_each_lock_is_longer_up_to_a_quarter_of_an_hour(world: World, name: Name) -> None:
    for minutes in [*MINUTES, MINUTES[-1], MINUTES[-1]]:
        await world.fail_all(name, ATTEMPTS)
        assert await world.fail(name) == timedelta(minutes=minutes)
        world.clock.turn(minutes=minutes)
    assert MINUTES == [1, 2, 4, 8, 15]


async def test_a_lock_is_not_stretched_by_who_goes_on(world: World) -> None:
    await world.fail_all(ANNS_NAME, ATTEMPTS, NOWHERE)
    (before,) = await world.documents()
    for seconds in range(60):
        assert await world.fail(ANNS_NAME, NOWHERE) == timedelta(seconds=60 - seconds)
        world.clock.turn(seconds=1)
    (now,) = await world.documents()
    assert {**now, "wasLocked": False, "locks": True} == before
    # Nothing of that was counted for the next one.
    await world.fail_all(ANNS_NAME, ATTEMPTS)
    assert await world.attempt(ANNS_NAME) == timedelta(minutes=2)


async def test_failures_count_for_a_quarter_of_an_hour(world: World) -> None:
    await world.fail(ANNS_NAME)
    world.clock.turn(minutes=14)
    await world.fail_all(ANNS_NAME, ATTEMPTS - 2)
    world.clock.turn(minutes=1)  # the first does not count any more
    await world.fail_all(ANNS_NAME, 2)
    assert not await world.is_open(ANNS_NAME)


async def test_locks_are_short_again_after_an_hour_without(world: World) -> None:
    for _ in range(2):
        await world.fail_all(ANNS_NAME, ATTEMPTS)
        world.clock.turn(minutes=10)
    world.clock.turn(minutes=52, milliseconds=-1)  # the second lock ended 8 minutes ago
    await world.fail_all(ANNS_NAME, ATTEMPTS)
    assert await world.attempt(ANNS_NAME) == timedelta(minutes=4)
    world.clock.turn(minutes=64)
    await world.fail_all(ANNS_NAME, ATTEMPTS)
    assert await world.attempt(ANNS_NAME) == timedelta(minutes=1)


async def test_success_forgets_failures_and_locks(world: World) -> None:
    await world.fail_all(ANNS_NAME, ATTEMPTS, NOWHERE)
    world.clock.turn(minutes=1)
    await world.fail_all(ANNS_NAME, ATTEMPTS - 1, NOWHERE)
    assert await world.is_open(ANNS_NAME)
    await world.lockout.succeeded(ANNS_NAME)
    assert await world.documents() == []
    await world.fail_all(ANNS_NAME, ATTEMPTS)
    assert await world.attempt(ANNS_NAME) == timedelta(minutes=1)


async def test_a_login_that_is_undone_forgets_nothing(world: World) -> None:
    await world.fail_all(ANNS_NAME, ATTEMPTS)

    async def login(session: ClientSession) -> None:
        await world.lockout.succeeded(ANNS_NAME, session)
        await world.lockout.clear_user(ANN, [ANNS_NAME], session)
        raise LookupError

    with pytest.raises(LookupError):
        await world.database.transact(login)
    assert not await world.is_open(ANNS_NAME)


async def test_logins_succeed_while_others_fail(world: World) -> None:
    """Each transaction meets writes to the document that it removes."""

    async def login() -> None:
        await world.database.transact(partial(world.lockout.succeeded, ANNS_NAME))

    for _ in range(5):
        await asyncio.gather(
            *(world.fail(ANNS_NAME) for _ in range(20)), *(login() for _ in range(3))
        )
        await login()
        assert await world.is_open(ANNS_NAME)


async def test_who_succeeds_with_the_fifth_was_never_locked(world: World) -> None:
    await world.fail_all(ANNS_NAME, ATTEMPTS - 1)
    assert await world.is_open(ANNS_NAME)
    await world.lockout.succeeded(ANNS_NAME)
    await world.lockout.failed(ANNS_NAME, "ann")  # of one that was under way beside it
    assert await world.is_open(ANNS_NAME)
    assert [each["action"] for each in await world.events()] == []


async def test_strangers_lock_strangers_only(world: World) -> None:
    phone, laptop = world.device(), world.device()
    session = Name("session", "s-1", ANN)
    await world.fail_all(ANNS_NAME, ATTEMPTS)
    await world.fail_all(phone, ATTEMPTS)
    assert not await world.is_open(ANNS_NAME)
    assert not await world.is_open(phone)
    assert await world.is_open(laptop)
    assert await world.is_open(session)
    await world.lockout.succeeded(laptop)
    assert not await world.is_open(ANNS_NAME)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Name("email", "ann"), Name("username", "ann")),
        (Name("email", "ann@example.com"), Name("email", "ann@example.org")),
        (Name("device", f"{ANN}/1", ANN), Name("device", f"{BOB}/1", BOB)),
    ],
)
async def test_each_name_has_a_count_of_its_own(world: World, one: Name, other: Name) -> None:
    await world.fail_all(one, ATTEMPTS)
    assert not await world.is_open(one)
    await world.fail_all(other, ATTEMPTS)


async def test_a_reset_clears_all_that_is_a_users(world: World) -> None:
    username, others = Name("username", "ann"), Name("email", "bob@example.com")
    device, bobs = world.device(ANN), world.device(BOB)
    every = [ANNS_NAME, username, device, others, bobs]
    for name in every:
        await world.fail_all(name, ATTEMPTS)
    await world.lockout.clear_user(ANN, [ANNS_NAME, username])
    assert [await world.is_open(name) for name in every] == [True, True, True, False, False]


async def test_what_is_stored_does_not_say_who_is_tried_and_goes_by_itself(world: World) -> None:
    await world.fail_all(ANNS_NAME, ATTEMPTS)
    await world.fail(NOBODYS_NAME)
    await world.fail(world.device())
    for document in await world.documents():
        assert not {"ann", "nobody", "192"} & set(str(document).replace("@", " ").split())
        assert "example" not in str(document)
        kept = document["expiresAt"] - world.clock.at
        assert timedelta(minutes=15) <= kept <= timedelta(days=1)
    world.clock.turn(days=1)
    # MongoDB removes it up to a minute later; until then it does not count any more.
    await world.fail_all(ANNS_NAME, ATTEMPTS)
    assert [each["count"] for each in await world.events() if "count" in each] == [5, 5]


async def test_one_event_for_five_failures_and_one_for_a_lock(world: World) -> None:
    await world.fail_all(ANNS_NAME, ATTEMPTS - 1)
    assert await world.events() == []
    await world.fail_all(ANNS_NAME, 1)
    failed = {"action": "login.failed", "userId": "ann", "fields": ["email"], "count": 5}
    locked = {"action": "login.locked", "userId": "ann", "fields": ["email"]}
    assert await world.events() == [failed, locked]
    for _ in range(20):
        assert await world.fail(ANNS_NAME) is not None
    world.clock.turn(minutes=20)
    await world.fail_all(ANNS_NAME, ATTEMPTS - 1)
    assert await world.events() == [failed, locked]
    await world.fail_all(ANNS_NAME, 1)
    assert await world.events() == [failed, locked, {**failed, "count": 10}, locked]


async def test_failures_that_are_too_slow_for_a_lock_are_recorded_too(world: World) -> None:
    for _ in range(ATTEMPTS):
        world.clock.turn(hours=1)
        await world.fail_all(ANNS_NAME, 1)
    assert [each["action"] for each in await world.events()] == ["login.failed"]


async def test_events_never_say_a_name_that_nobody_has(world: World) -> None:
    await world.fail_all(NOBODYS_NAME, ATTEMPTS)
    assert await world.events() == [
        {"action": "login.failed", "fields": ["email"], "count": 5},
        {"action": "login.locked", "fields": ["email"]},
    ]
    assert "nobody" not in str(await world.trail.find({}, 10))


class Model:
    """What should happen to one name, in plain words."""

    def __init__(self) -> None:
        self.attempts: list[datetime] = []
        self.locked_until: datetime | None = None
        self.locks = 0

    def attempt(self, at: datetime) -> timedelta | None:
        if self.locked_until is not None and at < self.locked_until:
            return self.locked_until - at
        self.attempts.append(at)
        if len([each for each in self.attempts if at - each < timedelta(minutes=15)]) == 5:
            if self.locked_until is not None and at - self.locked_until >= timedelta(hours=1):
                self.locks = 0
            minutes = [1, 2, 4, 8, 15][self.locks] if self.locks < 5 else 15
            self.locked_until = at + timedelta(minutes=minutes)
            self.locks += 1
            self.attempts.clear()
        return None


TURNS = st.sampled_from([0, 0, 0, 1, 29, 60, 61, 180, 240, 480, 899, 900, 901, 3599, 3600, 4500])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(TURNS, min_size=10, max_size=60), tag=st.uuids())
async def test_it_locks_as_it_should(world: World, turns: list[int], tag: object) -> None:
    name, model = Name("email", str(tag)), Model()
    for seconds in turns:
        world.clock.turn(seconds=seconds)
        assert await world.attempt(name) == model.attempt(world.clock.at)
    await world.lockout.succeeded(name)  # the same tag may come again


@pytest.mark.full_only
async def test_however_it_is_tried_an_hour_has_few_attempts(world: World) -> None:
    """Each way is as slow as the longest lock, but for the first locks."""
    for pause in (0, 30, 60):  # minutes after a lock of 8 minutes, in which nothing is tried
        name, passed, began = Name("email", str(pause)), 0, world.clock.at
        while world.clock.at - began < timedelta(hours=6):
            wait = await world.attempt(name)
            passed += wait is None
            if wait is not None:
                is_long = wait == timedelta(minutes=8)
                world.clock.at += wait + timedelta(minutes=pause if is_long else 0)
        assert passed <= 25 + 20 * 6
