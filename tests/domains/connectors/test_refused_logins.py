"""Who is refused too often has to wait, and it is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from server.core.clock import utc_now
from server.core.errors import RateLimited
from server.domains.connectors.connections.throttle import ALLOWED, REFUSED_LOGINS, STOP, WITHIN
from server.domains.connectors.errors import InvalidCredentials
from server.platforms.base import CredentialsRefused
from tests.domains.connectors.sync_world import ALL, World

WRONG, RIGHT = {"password": "wrong"}, {"password": "right"}


async def refused(world: World, user_id: str, times: int) -> None:
    for _ in range(times):
        with pytest.raises(InvalidCredentials):
            await world.connect(user_id, world.platform.name, ALL, WRONG)


def counted() -> list[float]:
    """What Prometheus would read."""
    names = {
        "finlink_refused_logins_total": {"platform": "fi_money"},
        "finlink_throttled_logins_total": {"platform": "fi_money"},
        "finlink_suspicious_events_total": {"action": "suspicious.refused_credentials"},
    }
    return [REGISTRY.get_sample_value(name, labels) or 0 for name, labels in names.items()]


async def reported(world: World, action: str) -> int:
    return len(await world.trail.find({"action": action}, 100))


async def test_after_so_many_refused_logins_that_user_is_throttled(world: World) -> None:
    user_id = await world.user()
    before = counted()
    await refused(world, user_id, ALLOWED)
    assert counted() == [before[0] + ALLOWED, before[1] + 1, before[2] + 1]
    with pytest.raises(RateLimited) as stopped:
        await world.connect(user_id, world.platform.name, ALL, RIGHT)
    assert stopped.value.retry_after is not None
    assert STOP - timedelta(minutes=1) < stopped.value.retry_after <= STOP
    assert await reported(world, "connector.credentials_refused") == ALLOWED
    assert await reported(world, "suspicious.refused_credentials") == 1
    # Nobody else is stopped.
    await world.connect(await world.user(), world.platform.name, ALL, RIGHT)


async def test_the_stop_ends(world: World) -> None:
    user_id = await world.user()
    await refused(world, user_id, ALLOWED)
    await world.database.collection(REFUSED_LOGINS).update_many(
        {}, {"$set": {"stoppedUntil": utc_now()}}
    )
    await world.connect(user_id, world.platform.name, ALL, RIGHT)


async def test_logins_refused_long_ago_do_not_count(world: World) -> None:
    user_id = await world.user()
    await refused(world, user_id, ALLOWED - 1)
    await world.database.collection(REFUSED_LOGINS).update_many(
        {}, [{"$set": {"times": [utc_now() - WITHIN]}}]
    )
    await refused(world, user_id, ALLOWED - 1)
    await world.connect(user_id, world.platform.name, ALL, RIGHT)


async def test_a_login_that_succeeds_resets_the_count(world: World) -> None:
    user_id = await world.user()
    await refused(world, user_id, ALLOWED - 1)
    connector, _ = await world.connect(user_id, world.platform.name, ALL, RIGHT)
    await world.service.disconnect(connector.id)
    await refused(world, user_id, ALLOWED - 1)
    await world.connect(user_id, world.platform.name, ALL, RIGHT)


async def test_refreshes_count_too(world: World) -> None:
    world.platform.wants_login = True
    connector, _ = await world.connect(await world.user(), world.platform.name, ALL, RIGHT)
    world.platform.cannot_log_in = CredentialsRefused("The token is wrong", "requestToken")
    for _ in range(ALLOWED):
        with pytest.raises(InvalidCredentials):
            await world.service.refresh(connector.id, {"requestToken": "t"})
    with pytest.raises(RateLimited):
        await world.service.refresh(connector.id, {"requestToken": "t"})
