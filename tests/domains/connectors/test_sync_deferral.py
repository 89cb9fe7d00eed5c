"""Runs that a platform throttles: they wait and go on, and are not failed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.core.clock import utc_now
from server.domains.connectors.sync.runner import MAY_WAIT
from server.platforms.base import Throttled
from tests.domains.connectors.sync_world import World

ASKED = timedelta(minutes=10)


@pytest.fixture
def throttled(world: World) -> World:
    """Trades are throttled; what comes before them is not."""
    world.platform.failures = {"trades": Throttled("too many calls", ASKED)}
    return world


async def test_a_throttled_run_waits_as_long_as_asked(throttled: World) -> None:
    connector = await throttled.connected("transactions", "trades")
    assert connector.sync.run is not None
    after = await throttled.sync(connector.id)
    assert after.sync.run is not None
    assert after.sync.run.sync_id == connector.sync.run.sync_id
    assert after.sync.run.started_at is None
    assert (after.history, after.totals.runs, after.sync.failures) == ((), 0, 0)
    assert after.status == "connected"
    state = after.run_state(after.sync.run.sync_id)
    assert state is not None
    assert (state.state, state.finished) == ("deferred", False)
    assert [count.data_type for count in state.counts] == ["transactions"]
    due = (await throttled.document(connector.id))["sync"]["dueAt"]
    assert ASKED - timedelta(minutes=1) < due - utc_now() <= ASKED * 1.25
    assert await throttled.syncs.claim() is None


async def test_it_goes_on_with_what_is_not_done(throttled: World) -> None:
    connector = await throttled.connected("transactions", "trades")
    assert connector.sync.run is not None
    waiting = await throttled.sync(connector.id)
    assert waiting.sync.run is not None
    throttled.platform.failures = {}
    throttled.platform.fetched.clear()
    await throttled.make_due(connector.id)
    after = await throttled.sync(connector.id)
    assert throttled.platform.fetched == ["trades"]
    (entry,) = after.history
    assert (entry.sync_id, entry.status) == (connector.sync.run.sync_id, "success")
    assert {count.data_type: count.records_count for count in entry.counts} == {
        "transactions": 2,
        "trades": 1,
    }
    assert entry.records_count == 3
    assert entry.started_at == waiting.sync.run.began_at
    assert await throttled.kept(connector.id) == {"transactions": 2, "trades": 1}


async def test_a_trigger_finds_the_run_that_waits(throttled: World) -> None:
    connector = await throttled.connected("trades")
    await throttled.sync(connector.id)
    assert connector.sync.run is not None
    triggered = await throttled.sync_service.trigger(connector.id, [], force=True)
    assert triggered.sync_id == connector.sync.run.sync_id


async def test_a_run_that_waits_can_be_cancelled(throttled: World) -> None:
    connector = await throttled.connected("trades")
    assert connector.sync.run is not None
    await throttled.sync(connector.id)
    state, ended = await throttled.sync_service.cancel(connector.id, connector.sync.run.sync_id)
    assert (state.state, ended) == ("cancelled", True)


async def test_a_cancelled_run_reports_what_it_had_brought(throttled: World) -> None:
    connector = await throttled.connected("transactions", "trades")
    assert connector.sync.run is not None
    await throttled.sync(connector.id)
    state, _ = await throttled.sync_service.cancel(connector.id, connector.sync.run.sync_id)
    assert [
        (count.data_type, count.records_count, count.added_count) for count in state.counts
    ] == [("transactions", 2, 2)]
    (entry,) = (await throttled.get(connector.id)).history
    assert (entry.status, entry.error_code) == ("failed", "RUN_CANCELLED")
    assert (entry.records_count, entry.added_count) == (2, 2)


async def test_a_cancelled_run_that_brought_nothing_reports_no_counts(throttled: World) -> None:
    connector = await throttled.connected("trades")
    assert connector.sync.run is not None
    await throttled.sync(connector.id)
    await throttled.sync_service.cancel(connector.id, connector.sync.run.sync_id)
    (entry,) = (await throttled.get(connector.id)).history
    assert (entry.records_count, entry.added_count, entry.counts) == (None, None, ())


async def test_one_without_an_end_fails_at_last(throttled: World) -> None:
    connector = await throttled.connected("transactions", "trades")
    await throttled.change(
        connector.id, {"sync.run.requestedAt": utc_now() - MAY_WAIT - timedelta(minutes=1)}
    )
    after = await throttled.sync(connector.id)
    (entry,) = after.history
    assert (entry.status, entry.error_code) == ("partial", "PLATFORM_THROTTLED")
    assert after.sync.run is None


async def test_an_abandoned_run_starts_from_nothing(throttled: World) -> None:
    connector = await throttled.connected("transactions", "trades")
    await throttled.sync(connector.id)
    await throttled.make_due(connector.id)
    await throttled.claim(connector.id)  # a worker that dies
    throttled.platform.failures = {}
    throttled.platform.fetched.clear()
    await throttled.make_due(connector.id)
    await throttled.sync(connector.id)
    assert throttled.platform.fetched == ["transactions", "trades"]
