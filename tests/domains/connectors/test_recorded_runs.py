"""What the audit trail is told of how runs end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from msgspec.structs import replace

from server.domains.connectors.connections import documents
from server.domains.connectors.connections.audit_events import of_run
from server.domains.connectors.model import Connector, HistoryEntry, Missing
from server.platforms.base import PermissionRefused, PlatformUnavailable
from tests.domains.connectors.sync_world import World

REFUSED = PermissionRefused("Not allowed")
AWAY = PlatformUnavailable("The platform is away")


async def reported(world: World, connector: Connector) -> list[tuple[str, str, list[str]]]:
    """What became of its runs, in their order."""
    events = await world.trail.find({"connectorId": connector.id}, 100)
    return [
        (event["action"], event["code"], event.get("fields", []))
        for event in reversed(events)
        if event["action"] in {"sync.failed", "sync.partial"}
    ]


async def test_a_partial_run_is_recorded_with_what_is_missing_by_its_cause(world: World) -> None:
    world.platform.failures = {"transactions": REFUSED, "portfolio": AWAY, "profile": REFUSED}
    connector = await world.synced()
    assert sorted(await reported(world, connector)) == [
        ("sync.partial", "PERMISSION_REFUSED", ["transactions", "profile"]),
        ("sync.partial", "PLATFORM_UNAVAILABLE", ["portfolio"]),
    ]


async def test_runs_that_bring_all_are_not_recorded(world: World) -> None:
    connector = await world.synced()
    await world.sync(connector.id)
    assert await reported(world, connector) == []


async def test_the_run_and_its_record_are_one_transaction(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.platform.failures = {"trades": REFUSED}
    connector = await world.connected()

    async def broken(*_: Any) -> None:
        raise RuntimeError("no trail")

    with monkeypatch.context() as at_once:
        at_once.setattr(world.trail, "add_all", broken)
        with pytest.raises(RuntimeError, match="no trail"):
            await world.runner.run(await world.claim(connector.id))
    after = await world.get(connector.id)
    assert (after.history, after.totals.runs) == ((), 0)
    assert after.sync.run is not None


async def test_an_unchanged_failure_is_recorded_once_an_hour(world: World) -> None:
    world.platform.failures = {"trades": REFUSED}
    connector = await world.synced()
    again = await world.sync(connector.id)
    hours = {entry.synced_at.replace(minute=0, second=0, microsecond=0) for entry in again.history}
    refused = ("sync.partial", "PERMISSION_REFUSED", ["trades"])
    assert await reported(world, connector) == [refused] * len(hours)
    world.platform.failures = {"trades": REFUSED, "profile": REFUSED}
    await world.sync(connector.id)
    both = ("sync.partial", "PERMISSION_REFUSED", ["trades", "profile"])
    assert (await reported(world, connector))[-1] == both


HALF_PAST = datetime.fromisoformat("2026-01-15T12:30:00Z")
LACKS = HistoryEntry(
    HALF_PAST,
    "partial",
    error_code="PERMISSION_REFUSED",
    missing=(Missing("trades", "PERMISSION_REFUSED", ""),),
)


@pytest.mark.parametrize(
    ("before", "is_told"),
    [
        (replace(LACKS, synced_at=HALF_PAST - timedelta(minutes=5)), False),
        (replace(LACKS, synced_at=HALF_PAST - timedelta(minutes=31)), True),
        (replace(LACKS, synced_at=HALF_PAST - timedelta(hours=24)), True),
        (replace(LACKS, status="success", error_code=None, missing=()), True),
        (replace(LACKS, status="failed", missing=()), True),
        (replace(LACKS, missing=(Missing("profile", "PERMISSION_REFUSED", ""),)), True),
        (replace(LACKS, missing=(Missing("trades", "PLATFORM_UNAVAILABLE", ""),)), True),
    ],
)
def test_which_partial_run_repeats_the_one_before_it(before: HistoryEntry, is_told: bool) -> None:
    document = {"_id": ObjectId(), "userId": "asha", "platform": "zerodha"}
    claimed = replace(documents.connector(document), history=(before,))
    assert bool(of_run(claimed, LACKS)) is is_told
