"""The checks of processes, jobs and platforms, on a real MongoDB."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from bson import ObjectId

from server.core.clock import CLOCK, utc_now
from server.domains.connectors.connections.store import CONNECTORS
from server.domains.connectors.sync.health import SyncHealth
from server.domains.connectors.sync.store import SyncStore
from server.domains.connectors.trends.model import Counts, Minute, minute_of
from server.domains.connectors.trends.store import TrendStore
from server.domains.system.service import MISSED_SECONDS, Processes
from server.domains.system.store import KEPT, PROCESSES, ProcessStore
from server.storage.driver import Database


async def reported_ago(database: Database, seconds: float) -> None:
    """Let all processes have reported that long ago."""
    ago = {"$subtract": ["$$NOW", int(seconds * 1000)]}
    both = {name: {"$cond": [f"${name}", ago, "$$REMOVE"]} for name in ("seenAt", "syncedAt")}
    await database.collection(PROCESSES).update_many({}, [{"$set": both}])


async def test_processes_are_there_from_their_first_report_until_they_leave(
    database: Database,
) -> None:
    serving, syncing = (Processes(ProcessStore(database)) for _ in range(2))
    assert (await serving.look()).status == "failing", "nobody is there"
    await serving.report()
    assert (await serving.look()).message == "No process syncs"
    await syncing.report()
    await syncing.report_syncing()
    found = await serving.look()
    assert (found.status, found.message) == ("ok", "2 processes, 1 of them sync")
    assert found.lag_seconds is not None
    await syncing.leave()
    assert (await serving.look()).status == "failing"


async def test_a_process_that_no_longer_reports_is_missed_for_a_while(database: Database) -> None:
    dead, alive = (Processes(ProcessStore(database)) for _ in range(2))
    await dead.report_syncing()
    await reported_ago(database, MISSED_SECONDS + 5)
    assert (await alive.look()).status == "failing", "it does not sync any more"
    await alive.report_syncing()
    found = await alive.look()
    assert (found.status, found.message) == ("degraded", "1 of 2 processes do not report")
    assert found.lag_seconds is not None
    assert found.lag_seconds > MISSED_SECONDS
    await reported_ago(database, KEPT.total_seconds() + 1)
    await alive.report_syncing()
    assert (await alive.look()).status == "ok", "whether or not MongoDB has removed it"


@pytest.mark.parametrize(
    ("seconds", "status"), [(None, "ok"), (5, "ok"), (60, "degraded"), (200, "failing")]
)
async def test_a_sync_that_waits_for_a_worker(
    database: Database, seconds: int | None, status: str
) -> None:
    if seconds is not None:
        due = utc_now() - timedelta(seconds=seconds)
        connector = {
            "_id": ObjectId(), "userId": "asha", "platform": "zerodha",
            "connectionStatus": "connected", "sync": {"dueAt": due},
        }  # fmt: skip
        await database.collection(CONNECTORS).insert_one(connector)
    found = await SyncHealth(SyncStore(database), TrendStore(database), CLOCK).jobs()
    assert found.status == status
    assert found.lag_seconds == pytest.approx(seconds or 0, abs=4)


@pytest.mark.parametrize(
    ("counts", "ago", "status"),
    [
        (Counts(succeeded=5), 1, "ok"),
        (Counts(succeeded=2, failures=Counter(PLATFORM_UNAVAILABLE=2)), 1, "ok"),
        (Counts(succeeded=1, failures=Counter(PLATFORM_UNAVAILABLE=2)), 1, "degraded"),
        (Counts(failures=Counter(PLATFORM_UNAVAILABLE=3)), 30, "ok"),
        (Counts(failures=Counter(REAUTH_REQUIRED=3)), 1, "ok"),
    ],
    ids=["it replies", "half", "most", "long ago", "another reason"],
)
async def test_a_platform_that_does_not_reply(
    database: Database, counts: Counts, ago: int, status: str
) -> None:
    at = minute_of(utc_now()) - timedelta(minutes=ago)
    trends = TrendStore(database)
    await trends.add(Minute(at, "zerodha", counts), "worker", 1)
    await trends.add(Minute(at, "fi_money", Counts(succeeded=1)), "worker", 1)
    found = await SyncHealth(SyncStore(database), trends, CLOCK).platforms()
    assert found.status == status
    if status == "degraded":
        assert found.message == "zerodha did not reply to 2 of 3 syncs in 10 minutes"
