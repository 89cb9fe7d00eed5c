"""Sessions that the engine looks after by itself: renewed before they end, found out once they have."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.core.clock import utc_now
from server.domains.connectors.connections.sessions import ASK_AFTER, RENEW_BEFORE, STILL_ACCEPTED
from server.domains.connectors.model import EXPIRES_SOON, Connector
from server.domains.connectors.sync.checks import LEASE, SessionChecks
from server.platforms.base import PlatformUnavailable
from tests.domains.connectors.sync_world import Checkpoint, World
from tests.domains.connectors.waiting import eventually

LOGIN_PAGE = "https://platform.test/login"


@pytest.fixture
def renewable(world: World) -> World:
    """Sessions can be renewed."""
    world.platform.renewable = True
    return world


async def check_at(world: World, connector: Connector) -> timedelta:
    """How long after its expected end a session is looked after; before it, less than nothing."""
    document = await world.document(connector.id)
    after: timedelta = document["session"]["checkAt"] - document["credentials"]["tokenExpiresAt"]
    return after


async def at_its_end(world: World, connector: Connector) -> None:
    """As time does: the session's expected end has just passed."""
    now = utc_now()
    fields = {"credentials.tokenExpiresAt": now, "session.checkAt": now}
    await world.change(connector.id, fields)


async def test_a_session_that_can_be_renewed_is_renewed_before_its_end(renewable: World) -> None:
    connector = await renewable.synced()
    assert -RENEW_BEFORE <= await check_at(renewable, connector) <= -RENEW_BEFORE / 2
    assert not await renewable.checks.check_some()
    # As time does.
    await renewable.change(connector.id, {"session.checkAt": utc_now()})
    assert await renewable.checks.check_some()
    after = await renewable.get(connector.id)
    assert (await renewable.sessions.open(after)).secrets == {"token": "tok_2"}
    assert (after.status, after.session.generation) == (
        "connected",
        connector.session.generation + 1,
    )
    assert (after.history, after.sync.run) == (connector.history, None)
    assert not await renewable.checks.check_some()


def test_expires_soon_is_not_reported_before_renewal_was_tried() -> None:
    assert RENEW_BEFORE / 2 >= EXPIRES_SOON


async def test_renewing_that_brings_no_longer_life_is_not_repeated(renewable: World) -> None:
    connector = await renewable.synced()
    renewable.platform.life = timedelta(hours=7)
    await renewable.change(connector.id, {"session.checkAt": utc_now()})
    assert await renewable.checks.check_some()
    assert timedelta(0) <= await check_at(renewable, connector) <= ASK_AFTER


async def test_of_many_workers_one_renews(renewable: World) -> None:
    connectors = [await renewable.synced() for _ in range(3)]
    for connector in connectors:
        await renewable.change(connector.id, {"session.checkAt": utc_now()})
    workers = [SessionChecks(renewable.syncs, renewable.renewal) for _ in range(5)]
    await asyncio.gather(*(worker.check_some() for worker in workers))
    assert renewable.platform.renewals == len(connectors)


async def test_a_session_that_ended_is_found_out_without_a_sync(world: World) -> None:
    connector = await world.synced()
    await world.sync_service.update_settings(connector.id, None, [], False)
    assert timedelta(0) <= await check_at(world, connector) <= ASK_AFTER
    world.platform.session_over = True
    await at_its_end(world, connector)
    assert await world.checks.check_some()
    after = await world.get(connector.id)
    assert (after.status, after.session.id) == ("expired", None)
    assert after.errors[0].error_code == "REAUTH_REQUIRED"
    assert after.history == connector.history
    assert await world.sessions.login_url(after) == LOGIN_PAGE
    await at_its_end(world, connector)
    assert not await world.checks.check_some()


async def test_the_engines_check_sessions(world: World) -> None:
    connector = await world.synced()
    world.platform.session_over = True
    await at_its_end(world, connector)
    engine = world.session_checks()
    engine.start()

    async def expired() -> bool:
        return bool((await world.get(connector.id)).status == "expired")

    await eventually(expired, "the session to be found ended")
    await engine.stop(1)


async def test_a_session_accepted_past_its_end_goes_on_a_little_at_a_time(world: World) -> None:
    connector = await world.synced()
    await at_its_end(world, connector)
    assert await world.checks.check_some()
    after = await world.get(connector.id)
    assert after.status == "connected"
    assert after.session.expires_at is not None
    left = after.session.expires_at - utc_now()
    assert STILL_ACCEPTED - timedelta(minutes=1) < left <= STILL_ACCEPTED
    assert after.expires_soon(utc_now())
    assert timedelta(0) <= await check_at(world, after) <= ASK_AFTER


async def test_a_platform_that_is_away_is_asked_again_later(world: World) -> None:
    connector = await world.synced()
    await at_its_end(world, connector)
    before = await world.get(connector.id)

    async def away() -> None:
        raise PlatformUnavailable("Away")

    world.platform.before_renewal = away
    assert await world.checks.check_some()
    assert await world.get(connector.id) == before
    assert LEASE - timedelta(seconds=10) < await check_at(world, connector) <= LEASE * 1.5
    assert not await world.checks.check_some()


async def test_a_session_that_a_caller_refreshes_is_left_to_the_caller(renewable: World) -> None:
    connector = await renewable.synced()
    checkpoint = renewable.platform.before_renewal = Checkpoint()
    refresh = asyncio.create_task(renewable.service.refresh(connector.id, {}))
    async with asyncio.timeout(10):
        await checkpoint.reached.wait()
        await renewable.change(connector.id, {"session.checkAt": utc_now()})
        assert await renewable.checks.check_some()
        checkpoint.opened.set()
        refreshed = await refresh
    assert renewable.platform.renewals == 1
    assert (await renewable.get(connector.id)).session.id == refreshed.session.id


async def test_what_was_disconnected_is_not_looked_after(world: World) -> None:
    connector = await world.synced()
    await world.service.disconnect(connector.id)
    assert "checkAt" not in (await world.document(connector.id))["session"]


async def test_a_session_of_another_tool_is_looked_after_once_it_syncs(world: World) -> None:
    connector = await world.connected()
    await world.change(connector.id, {"session": {"generation": connector.session.generation}})
    await world.sync(connector.id)
    assert await check_at(world, connector) == timedelta(0)
