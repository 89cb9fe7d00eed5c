"""The sessions that are live and the users who are active are counted, by one process at a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from prometheus_client import REGISTRY

from server.domains.identity.credentials.accounts import store as account_store
from server.domains.identity.credentials.accounts.store import (
    CREDENTIALS,
    SEEN_EVERY,
    AccountStore,
    seen_after,
)
from server.domains.identity.sessions import activity
from server.domains.identity.sessions.activity import DAYS, ActivityCount
from server.domains.identity.sessions.model import Kind
from server.domains.identity.sessions.store import LOGIN_SESSIONS
from server.storage import leases
from server.storage.indexes import ensure_indexes
from tests.domains.identity.sessions.world import World


def counted() -> dict[str, Any]:
    sessions = {
        kind: REGISTRY.get_sample_value("finlink_sessions", {"kind": kind})
        for kind in ("token", "cookie")
    }
    users = {
        days: REGISTRY.get_sample_value("finlink_active_users", {"days": str(days)})
        for days in DAYS
    }
    return {**sessions, "users": users}


def counting(world: World) -> ActivityCount:
    """What another process has."""
    held = leases.Leases(world.database)
    return ActivityCount(world.store, AccountStore(world.database), held, world.clock)


@pytest.fixture
async def count(world: World) -> ActivityCount:
    await ensure_indexes(world.database, {**leases.INDEXES, **account_store.INDEXES})
    return counting(world)


async def account(world: World, user_id: str = "u_1") -> str:
    """A user who can sign in."""
    user = await world.users.create(user_id)
    document = {"_id": ObjectId(user), "userId": user_id}
    await world.database.collection(CREDENTIALS).insert_one(document)
    return user


async def seen_at(world: World, user: str) -> datetime | None:
    found = await world.database.collection(CREDENTIALS).find_one({"_id": ObjectId(user)})
    assert found is not None
    return found.get("lastSeenAt")


async def active(world: World) -> list[float]:
    """The users of each window, as a process that has not counted yet counts them."""
    await counting(world).count()
    return list(counted()["users"].values())


async def seen(world: World, user: str, kind: Kind = "token") -> str:
    """A user signs in and makes a call; the session."""
    begun = await world.begin(user, kind)
    await world.use(begun.session.id)
    return begun.session.id


async def test_sessions_and_users_are_counted(world: World, count: ActivityCount) -> None:
    one, two, three = [await account(world, f"u_{number}") for number in range(3)]
    await account(world, "never")
    await seen(world, one)
    world.clock.turn(days=3)
    await seen(world, two)
    await seen(world, two)
    world.clock.turn(hours=23)
    await seen(world, three, "cookie")
    await world.sessions.log_out(await seen(world, three))
    await count.count()
    assert counted() == {"token": 3.0, "cookie": 1.0, "users": {1: 2.0, 7: 3.0, 30: 3.0}}


async def test_users_whose_sessions_are_gone_are_active_for_as_long_as_the_others(
    world: World, count: ActivityCount
) -> None:
    one, two = [await account(world, f"u_{number}") for number in range(2)]
    await seen(world, one)
    await world.sessions.log_out(await seen(world, two))
    world.clock.turn(days=2)
    await world.database.collection(LOGIN_SESSIONS).delete_many({})
    assert await active(world) == [0, 2, 2]
    world.clock.turn(days=5)
    assert await active(world) == [0, 0, 2]
    world.clock.turn(days=22, hours=23)
    assert await active(world) == [0, 0, 2]
    world.clock.turn(hours=1)
    assert await active(world) == [0, 0, 0]


async def test_a_user_who_is_deleted_is_not_counted_and_does_not_come_back(
    world: World, count: ActivityCount
) -> None:
    user = await account(world)
    session = await seen(world, user)
    assert await active(world) == [1, 1, 1]
    await world.database.collection(CREDENTIALS).delete_one({"_id": ObjectId(user)})
    world.clock.turn(minutes=11)
    await world.use(session)
    assert await active(world) == [0, 0, 0]
    assert await world.database.collection(CREDENTIALS).find_one({}) is None


async def test_it_is_noted_to_ten_minutes_when_a_user_was_seen(
    world: World, count: ActivityCount
) -> None:
    user = await account(world)
    session = await seen(world, user)
    noted = world.clock.at
    assert await seen_at(world, user) == noted
    world.clock.turn(minutes=9)
    await world.use(session)
    assert await seen_at(world, user) == noted, "most uses write nothing there"
    world.clock.turn(minutes=SEEN_EVERY / timedelta(minutes=1) - 9)
    await world.use(session)
    assert await seen_at(world, user) == world.clock.at


async def test_who_signs_in_or_refreshes_was_seen(world: World, count: ActivityCount) -> None:
    user = await account(world)
    world.noted.note_user(user)
    await world.noted.write()
    assert await seen_at(world, user) == world.clock.at


async def test_a_use_that_is_written_late_changes_nothing(
    world: World, count: ActivityCount
) -> None:
    """By a host whose clock is behind, or that could not write for a while."""
    user = await account(world)
    began = world.clock.at
    first, second = await world.begin(user), await world.begin(user)
    world.clock.turn(minutes=59)
    await world.use(first.session.id)
    noted = world.clock.at
    world.clock.at = began + timedelta(minutes=2)
    await world.use(second.session.id)
    assert await seen_at(world, user) == noted


async def test_a_count_that_fails_is_not_made_again_at_once(
    world: World, count: ActivityCount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million sessions took longer than a call may, so they were counted without end."""
    now, calls = 0.0, 0

    async def fail(_: datetime) -> dict[Kind, int]:
        nonlocal now, calls
        now += 2
        calls += 1
        raise TimeoutError

    monkeypatch.setattr(activity, "monotonic", lambda: now)
    monkeypatch.setattr(world.store, "count_live", fail)
    with pytest.raises(TimeoutError):
        await count.count()
    now += 90
    await count.count()
    assert calls == 1
    now += 20
    with pytest.raises(TimeoutError):
        await count.count()


async def test_counting_reads_the_index_alone(world: World, count: ActivityCount) -> None:
    pipeline = seen_after([world.clock.at - timedelta(days=days) for days in DAYS])
    command = {"aggregate": CREDENTIALS, "pipeline": pipeline, "cursor": {}}
    plan = str(
        await world.database.collection(CREDENTIALS).database.command(
            {"explain": command, "verbosity": "queryPlanner"}
        )
    )
    assert "'IXSCAN'" in plan
    assert "'FETCH'" not in plan
    assert "'COLLSCAN'" not in plan


async def test_another_process_counts(world: World, count: ActivityCount) -> None:
    held = leases.Leases(world.database)
    other = counting(world)
    await count.count()
    await world.begin(await account(world))
    async with held.acquire("count sessions"):
        await other.count()
    assert counted()["token"] == 0
    await other.count()
    assert counted()["token"] == 1
