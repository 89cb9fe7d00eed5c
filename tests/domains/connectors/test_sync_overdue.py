"""How long syncs have waited for a worker, as Prometheus is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from server.core.clock import utc_now
from server.domains.connectors.sync.reporter import report_overdue
from tests.domains.connectors.sync_world import World


async def reported(world: World) -> float:
    await report_overdue(world.syncs)
    value = REGISTRY.get_sample_value("finlink_sync_overdue_seconds")
    assert value is not None
    return value


async def test_nothing_is_overdue_where_nothing_is_due(world: World) -> None:
    await world.synced()
    assert await reported(world) == 0


async def test_what_was_due_first_counts(world: World) -> None:
    made = [await world.synced() for _ in range(3)]
    for connector, minutes in zip(made, (3, 7, 5), strict=True):
        await world.change(connector.id, {"sync.dueAt": utc_now() - timedelta(minutes=minutes)})
    assert await reported(world) == pytest.approx(7 * 60, abs=30)


async def test_a_claimed_run_waits_no_more(world: World) -> None:
    connector = await world.synced()
    await world.make_due(connector.id)
    assert await reported(world) > 0
    await world.claim(connector.id)
    assert await reported(world) == 0


async def test_a_connector_without_a_session_is_not_waited_for(world: World) -> None:
    connector = await world.synced()
    await world.make_due(connector.id)
    await world.change(connector.id, {"connectionStatus": "expired"})
    assert await reported(world) == 0
