"""The sessions that are live and the users who are active are counted, by one process at a time."""

from __future__ import annotations

from typing import Any

from prometheus_client import REGISTRY

from server.domains.identity.sessions.activity import DAYS, ActivityCount
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


async def test_sessions_and_users_are_counted(world: World) -> None:
    await ensure_indexes(world.database, leases.INDEXES)
    count = ActivityCount(world.store, leases.Leases(world.database), world.clock)
    one, two, three = [await world.users.create(f"u_{number}") for number in range(3)]
    await world.begin(one)
    world.clock.turn(days=3)
    await world.begin(two)
    await world.begin(two)
    world.clock.turn(hours=23)
    await world.begin(three, "cookie")
    await world.sessions.log_out((await world.begin(three)).session.id)
    await count.count()
    assert counted() == {"token": 3.0, "cookie": 1.0, "users": {1: 2.0, 7: 3.0, 30: 3.0}}


async def test_another_process_counts(world: World) -> None:
    await ensure_indexes(world.database, leases.INDEXES)
    held = leases.Leases(world.database)
    one, other = [ActivityCount(world.store, held, world.clock) for _ in range(2)]
    await one.count()
    await world.begin(await world.users.create())
    async with held.acquire("count sessions"):
        await other.count()
    assert counted()["token"] == 0
    await other.count()
    assert counted()["token"] == 1
