"""Runs that an outage of the platform cuts short: what they got stays, the next ones go on from there."""

from __future__ import annotations

from datetime import timedelta

import pytest
from finlink_words import DataType

from server.core.clock import utc_now
from server.domains.connectors.model import MAX_INTERVAL, Connector
from server.domains.connectors.sync.runner import CATCH_UPS, FIRST_CATCH_UP, JITTER
from server.domains.connectors.sync.store import SyncStore
from server.platforms.base import PermissionRefused, PlatformUnavailable, Throttled
from tests.domains.connectors.sync_world import World

AWAY = PlatformUnavailable("The platform is away")
INTERVAL = timedelta(minutes=5)


def pause(connector: Connector) -> timedelta:
    """From the last run to the next, to a second."""
    assert connector.sync.next_at is not None
    return connector.sync.next_at - connector.history[0].synced_at


def about(least: timedelta) -> tuple[timedelta, timedelta]:
    """With its jitter, and a second between the clocks."""
    return least - timedelta(seconds=1), least * (1 + JITTER) + timedelta(seconds=1)


async def next_run(world: World, connector: Connector) -> Connector:
    """The run that comes by itself."""
    assert (await world.get(connector.id)).sync.run is None
    await world.make_due(connector.id)
    await world.runner.run(await world.claim(connector.id))
    return await world.get(connector.id)


@pytest.fixture
def going_away(world: World) -> World:
    """The platform goes away in the middle of a run: after two data types."""
    world.platform.failures = {"trades": AWAY, "profile": AWAY}
    return world


async def test_what_a_run_got_stays_and_the_next_goes_on_from_there(going_away: World) -> None:
    connector = await going_away.synced()
    (entry,) = connector.history
    assert (entry.status, entry.error_code) == ("partial", "PLATFORM_UNAVAILABLE")
    assert [count.data_type for count in entry.counts] == ["transactions", "portfolio"]
    least, most = about(FIRST_CATCH_UP)
    assert least < pause(connector) <= most
    going_away.platform.failures = {}
    going_away.platform.fetched.clear()
    after = await next_run(going_away, connector)
    assert going_away.platform.fetched == ["trades", "profile"]
    newest = after.history[0]
    assert newest.status == "success"
    # Each run in the history with its own counts.
    assert {count.data_type: count.records_count for count in newest.counts} == {
        "trades": 1,
        "profile": 1,
    }
    assert (newest.records_count, entry.records_count) == (2, 5)
    assert newest.sync_id != entry.sync_id
    assert (after.totals.runs, after.totals.successful, after.totals.failed) == (2, 1, 0)
    assert sum((await going_away.kept(connector.id)).values()) == 7
    # And then all as ever.
    assert abs(pause(after) - INTERVAL) < timedelta(seconds=1)
    going_away.platform.fetched.clear()
    await next_run(going_away, after)
    assert going_away.platform.fetched == ["transactions", "portfolio", "trades", "profile"]


async def test_runs_come_back_more_and_more_slowly(world: World) -> None:
    world.platform.fail_with(AWAY)
    connector = await world.synced()
    pauses = [pause(connector)]
    for _ in range(CATCH_UPS):
        connector = await next_run(world, connector)
        pauses.append(pause(connector))
    for number in range(CATCH_UPS):
        least, most = about(FIRST_CATCH_UP * 2**number)
        assert least < pauses[number] <= most
    assert abs(pauses[CATCH_UPS] - INTERVAL) < timedelta(seconds=1)
    assert [entry.status for entry in connector.history] == ["failed"] * (CATCH_UPS + 1)
    assert connector.sync.failures == connector.totals.failed == CATCH_UPS + 1
    connector = await next_run(world, connector)
    assert connector.status == "error"
    assert pause(connector) > INTERVAL
    world.platform.fail_with(None)
    connector = await next_run(world, connector)
    assert (connector.status, connector.sync.outages) == ("connected", 0)


async def test_a_catch_up_comes_no_later_than_the_interval(world: World) -> None:
    world.platform.fail_with(AWAY)
    connector = await world.connected()
    await world.sync_service.update_settings(connector.id, 1, [], None)
    for _ in range(CATCH_UPS):
        connector = await world.sync(connector.id)
        assert pause(connector) < timedelta(seconds=61)


async def test_one_data_type_that_never_comes_does_not_keep_the_others_away(world: World) -> None:
    world.platform.failures = {"transactions": AWAY}
    connector = await world.synced()
    assert [c.data_type for c in connector.history[0].counts] == ["portfolio", "trades", "profile"]
    for _ in range(CATCH_UPS):
        world.platform.fetched.clear()
        connector = await next_run(world, connector)
        assert world.platform.fetched == ["transactions"]
        assert connector.history[0].status == "failed"
    connector = await next_run(world, connector)
    # No more hurry: all of them again, at the interval.
    connector = await next_run(world, connector)
    assert connector.history[0].status == "partial"
    assert (connector.status, connector.sync.failures) == ("connected", 0)
    assert abs(pause(connector) - INTERVAL) < timedelta(seconds=1)


async def test_two_calls_that_fail_end_the_run(world: World) -> None:
    world.platform.fail_with(AWAY)
    await world.synced()
    assert world.platform.fetched == ["transactions", "portfolio"]


async def test_what_the_platform_does_not_allow_is_not_tried_again_soon(world: World) -> None:
    world.platform.failures = {
        "transactions": PermissionRefused("Not allowed"),
        "portfolio": AWAY,
    }
    connector = await world.synced()
    assert connector.history[0].error_code == "PLATFORM_UNAVAILABLE"
    world.platform.fetched.clear()
    await next_run(world, connector)
    assert world.platform.fetched == ["portfolio"]


@pytest.mark.parametrize("asked", [timedelta(minutes=20), timedelta(days=1)])
async def test_the_platform_is_left_alone_for_as_long_as_it_asks(
    world: World, asked: timedelta
) -> None:
    world.platform.fail_with(PlatformUnavailable("Away", retry_after=asked))
    connector = await world.synced()
    assert abs(pause(connector) - min(asked, MAX_INTERVAL)) < timedelta(seconds=1)


async def test_a_connector_that_does_not_sync_by_itself_does_not_catch_up(world: World) -> None:
    connector = await world.connected()
    await world.sync_service.update_settings(connector.id, None, [], False)
    world.platform.fail_with(AWAY)
    connector = await world.sync(connector.id)
    assert connector.sync.next_at is None


async def forced(world: World, connector: Connector) -> None:
    world.platform.failures = {}
    await world.sync(connector.id)


async def settings(world: World, connector: Connector) -> None:
    await world.sync_service.update_settings(connector.id, 7, [], None)


async def cancelled(world: World, connector: Connector) -> None:
    await world.make_due(connector.id)
    claimed = await world.claim(connector.id)
    assert claimed.item.sync.run is not None
    await world.sync_service.cancel(connector.id, claimed.item.sync.run.sync_id)


async def reconnected(world: World, connector: Connector) -> None:
    await world.service.disconnect(connector.id)
    await world.connect(connector.user_id, "fi_money", connector.permissions, {})
    world.platform.failures = {}
    await world.runner.run(await world.claim(connector.id))


@pytest.mark.parametrize("change", [forced, settings, cancelled, reconnected])
async def test_nothing_is_pending_any_more_after(going_away: World, change: object) -> None:
    assert callable(change)
    connector = await going_away.synced()
    assert (await going_away.document(connector.id))["sync"]["owed"] == ["trades", "profile"]
    await change(going_away, connector)
    assert "owed" not in (await going_away.document(connector.id))["sync"]


async def test_throttled_after_one_call_failed_it_waits_and_tries_that_again(world: World) -> None:
    world.platform.failures = {"transactions": AWAY, "trades": Throttled("Too many calls")}
    connector = await world.synced()
    assert connector.sync.run is not None
    assert [count.data_type for count in connector.sync.run.done] == ["portfolio"]
    world.platform.failures = {}
    world.platform.fetched.clear()
    await world.make_due(connector.id)
    await world.runner.run(await world.claim(connector.id))
    assert world.platform.fetched == ["transactions", "trades", "profile"]
    assert (await world.get(connector.id)).history[0].status == "success"


async def test_a_session_that_ends_after_one_call_failed_expires_the_connector(
    world: World,
) -> None:
    world.platform.failures = {"transactions": AWAY}

    async def ends() -> None:
        world.platform.session_over = bool(world.platform.fetched)

    world.platform.before_fetch = ends
    connector = await world.synced()
    assert (connector.status, connector.history[0].error_code) == ("expired", "REAUTH_REQUIRED")


# Fairness


async def test_forced_syncs_wait_their_turn(world: World) -> None:
    """Whoever forces a sync again and again stands behind all that was due before, each time."""
    syncs = SyncStore(world.database)
    pushy, *others = [await world.synced() for _ in range(4)]
    for number, other in enumerate(others):
        due = utc_now() - timedelta(seconds=10 - number)
        await world.change(other.id, {"sync.dueAt": due})
    served = []
    types: list[DataType] = []
    for _ in range(5):
        await world.sync_service.trigger(pushy.id, types, force=True)
        claimed = await syncs.claim()
        assert claimed is not None
        served.append(claimed.item.id)
        await world.runner.run(claimed)
    assert served == [*(other.id for other in others), pushy.id, pushy.id]
