"""The sync engine's writes, one at a time: who may claim what, and whose writes count."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.core.clock import utc_now
from server.domains.connectors.connections.sessions import new_sync_id
from server.domains.connectors.connections.store import CONNECTORS, SYNC_JOBS
from server.domains.connectors.model import Connector, HistoryEntry
from server.domains.connectors.sync.store import Outcome
from server.jobs.queue import Job
from tests.domains.connectors.sync_world import World

SLACK = timedelta(seconds=1)  # between this clock and MongoDB's, which cuts at milliseconds


def outcome(job: Job[Connector], status: str = "connected") -> Outcome:
    sync_id = job.item.sync.run.sync_id if job.item.sync.run else None
    return Outcome(HistoryEntry(utc_now(), "success", 1, 1, sync_id=sync_id), 0, status)


async def due_by_itself(world: World) -> Connector:
    """A connector whose interval has passed and that nobody has claimed yet."""
    connector = await world.synced()
    await world.change(
        connector.id, {"connectionDetails.lastSyncAt": utc_now() - timedelta(minutes=6)}
    )
    await world.make_due(connector.id)
    return await world.get(connector.id)


async def all_done(world: World) -> None:
    while (due := await world.syncs.claim()) is not None:
        await world.runner.run(due)


# Leases


async def test_nothing_due_nothing_claimed(world: World) -> None:
    assert await world.syncs.claim() is None
    await world.synced()
    assert await world.syncs.claim() is None


async def test_a_lease_lasts_for_a_while(world: World) -> None:
    connector = await world.connected()
    claimed = await world.claim(connector.id)
    assert claimed.fence == connector.sync.fence + 1
    assert claimed.item.sync.run is not None
    assert claimed.item.sync.run.started_at is not None
    lapses = (await world.document(connector.id))["sync"]["dueAt"]
    assert abs(lapses - claimed.item.sync.run.started_at - SYNC_JOBS.lease) < SLACK
    assert await world.syncs.claim() is None


async def test_of_many_workers_at_once_one_gets_the_lease(world: World) -> None:
    connector = await world.connected()
    claims = await asyncio.gather(*(world.syncs.claim() for _ in range(20)))
    assert [claimed.item.id for claimed in claims if claimed] == [connector.id]


async def test_what_has_been_due_longest_comes_first(world: World) -> None:
    connectors = [await world.connected() for _ in range(3)]
    for age, connector in zip((1, 3, 2), connectors, strict=True):
        await world.change(connector.id, {"sync.dueAt": utc_now() - timedelta(minutes=age)})
    claimed = [await world.syncs.claim() for _ in range(4)]
    expected = [connectors[1].id, connectors[2].id, connectors[0].id]
    assert [each.item.id for each in claimed if each] == expected


async def test_a_run_that_its_worker_left_comes_before_all_that_is_due(world: World) -> None:
    left, *waiting = [await world.connected() for _ in range(3)]
    await world.change(left.id, {"sync.dueAt": utc_now() - timedelta(hours=9)})
    await world.claim(left.id)
    await world.change(left.id, {"sync.dueAt": utc_now() - timedelta(seconds=1)})
    for connector in waiting:
        await world.change(connector.id, {"sync.dueAt": utc_now() - timedelta(minutes=9)})
    claimed = await world.syncs.claim()
    assert claimed is not None
    assert (claimed.item.id, claimed.item.history[0].error_code) == (left.id, "RUN_ABANDONED")


async def test_only_live_connectors_are_claimed(world: World) -> None:
    connector = await world.connected()
    for status in ("disconnected", "expired"):
        await world.change(connector.id, {"connectionStatus": status})
        assert await world.syncs.claim() is None
    await world.change(connector.id, {"connectionStatus": "error"})
    await world.claim(connector.id)


async def test_looking_for_what_is_due_reads_nothing_that_is_not(world: World) -> None:
    """Every worker looks each second: that must not cost more the more connectors there are."""
    collection = world.database.collection(CONNECTORS)
    later = utc_now() + timedelta(minutes=5)
    await collection.insert_many(
        [
            {
                "userId": f"user_{number}", "platform": "fi_money",
                "connectionStatus": "connected", "sync": {"dueAt": later},
            }
            for number in range(300)
        ]
    )  # fmt: skip
    asked: list[dict[str, object]] = []

    class Recording:
        async def find_one_and_update(self, query, *_, sort, hint, **__):  # type: ignore[no-untyped-def]
            asked.append({"filter": query, "sort": dict(sort), "hint": hint})

    world.syncs.jobs._collection = Recording()  # type: ignore[assignment]
    assert await world.syncs.claim() is None
    assert len(asked) == 2  # for runs that were left, and for all
    for find in asked:
        plan = await world.database._database.command(
            {"explain": {"find": CONNECTORS, "limit": 1, **find}, "verbosity": "executionStats"}
        )
        assert plan["executionStats"]["totalKeysExamined"] <= 2
        assert plan["executionStats"]["totalDocsExamined"] <= 2


# Fences


async def test_no_write_of_a_lost_lease_counts(world: World) -> None:
    connector = await world.connected()
    lost = await world.claim(connector.id)
    await world.make_due(connector.id)
    holding = await world.claim(connector.id)
    document = await world.document(connector.id)
    assert not await world.syncs.keep(lost)
    assert not await world.syncs.jobs.release(lost)
    assert not await world.syncs.finish(lost, outcome(lost))
    assert await world.document(connector.id) == document
    assert await world.syncs.keep(holding)


async def test_no_write_of_a_finished_run_counts(world: World) -> None:
    connector = await world.connected()
    claimed = await world.claim(connector.id)
    assert await world.syncs.finish(claimed, outcome(claimed))
    document = await world.document(connector.id)
    assert not await world.syncs.finish(claimed, outcome(claimed))
    assert not await world.syncs.keep(claimed)
    assert not await world.syncs.jobs.release(claimed)
    assert await world.document(connector.id) == document


async def test_a_disconnect_takes_the_lease(world: World) -> None:
    connector = await world.connected()
    claimed = await world.claim(connector.id)
    await world.service.disconnect(connector.id)
    assert not await world.syncs.keep(claimed)
    assert not await world.syncs.finish(claimed, outcome(claimed))


async def test_writes_on_a_connector_that_is_gone(world: World) -> None:
    connector = await world.connected()
    claimed = await world.claim(connector.id)
    await world.user_service.delete(connector.user_id)
    assert not await world.syncs.keep(claimed)
    assert not await world.syncs.finish(claimed, outcome(claimed))
    assert await world.connectors.get(connector.id) is None


# Asking for a run


async def test_a_wanted_run_is_due_at_once(world: World) -> None:
    connector = await world.synced()
    wanted = await world.syncs.request_run(connector.id, "sync_1", ["trades"])
    assert wanted is not None
    assert wanted.sync.run is not None
    assert (wanted.sync.run.sync_id, wanted.sync.run.data_types) == ("sync_1", ("trades",))
    assert wanted.sync.run.started_at is None
    claimed = await world.claim(connector.id)
    assert claimed.item.sync.run is not None
    assert (claimed.item.sync.run.sync_id, claimed.item.sync.run.data_types) == (
        "sync_1",
        ("trades",),
    )
    assert claimed.item.sync.run.requested_at == wanted.sync.run.requested_at


async def test_without_data_types_a_run_fetches_what_the_settings_say(world: World) -> None:
    connector = await world.synced()
    await world.sync_service.update_settings(connector.id, None, ["profile"], None)
    wanted = await world.syncs.request_run(connector.id, "sync_1", [])
    assert wanted is not None
    assert wanted.sync.run is not None
    assert wanted.sync.run.data_types == ("profile",)


async def test_one_wanted_run_at_a_time(world: World) -> None:
    connector = await world.synced()
    replies = await asyncio.gather(
        *(world.syncs.request_run(connector.id, new_sync_id(), []) for _ in range(10))
    )
    assert sum(reply is not None for reply in replies) == 1


async def test_no_run_of_a_connector_that_is_not_live_or_stands_still(world: World) -> None:
    connector = await world.synced()
    await world.change(connector.id, {"sync.paused": True})
    assert await world.syncs.request_run(connector.id, "sync_1", []) is None
    await world.change(connector.id, {"sync.paused": False, "connectionStatus": "expired"})
    assert await world.syncs.request_run(connector.id, "sync_1", []) is None


async def test_a_run_requested_just_as_the_interval_starts_one_is_done(world: World) -> None:
    connector = await due_by_itself(world)
    claimed = await world.claim(connector.id)
    promised = await world.sync_service.trigger(connector.id, [], force=True)
    await world.runner.run(claimed)
    await all_done(world)
    after = await world.get(connector.id)
    assert [entry.status for entry in after.history] == ["success", "success"]
    assert promised.sync_id == after.history[0].sync_id


async def test_settings_changed_just_as_the_interval_starts_a_run_start_no_second_one(
    world: World,
) -> None:
    connector = await due_by_itself(world)
    claimed = await world.claim(connector.id)
    await world.sync_service.update_settings(connector.id, None, [], True)
    assert await world.syncs.claim() is None
    await world.runner.run(claimed)
    assert (await world.get(connector.id)).totals.runs == 2


@pytest.mark.parametrize("status", ["suspended", "inactive"])
async def test_a_lease_taken_just_as_the_user_is_suspended_is_lost(
    world: World, status: str
) -> None:
    connector = await due_by_itself(world)
    claimed = await world.claim(connector.id)
    await world.user_service.set_status(connector.user_id, status)
    fetched = len(world.platform.fetched)
    await world.runner.run(claimed)
    after = await world.get(connector.id)
    assert after.sync.run is None
    assert [entry.error_code for entry in after.history] == ["RUN_CANCELLED", None]
    assert len(world.platform.fetched) <= fetched + 1
    await world.user_service.set_status(connector.user_id, "active")
    await all_done(world)
    assert (await world.get(connector.id)).history[0].status == "success"


# Ending a run


async def test_a_finished_run_changes_all_at_once(world: World) -> None:
    connector = await world.connected()
    claimed = await world.claim(connector.id)
    assert await world.syncs.finish(claimed, outcome(claimed, "error"))
    after = await world.get(connector.id)
    assert after.status == "error"
    assert after.history[0].sync_id == after.last_sync_id
    assert after.sync.next_at is not None
    assert after.sync.run is None


async def test_a_released_run_waits_under_its_own_id(world: World) -> None:
    connector = await world.connected()
    claimed = await world.claim(connector.id)
    assert await world.syncs.jobs.release(claimed)
    assert not await world.syncs.keep(claimed)
    again = await world.claim(connector.id)
    assert again.item.sync.run is not None
    assert claimed.item.sync.run is not None
    assert again.item.sync.run.sync_id == claimed.item.sync.run.sync_id
    assert again.item.sync.run.requested_at == claimed.item.sync.run.requested_at
    assert again.item.history == ()


# Settings


async def test_settings_move_the_next_time(world: World) -> None:
    connector = await world.synced()
    assert connector.sync.last_at is not None
    after = await world.sync_service.update_settings(connector.id, 42, [], None)
    assert after.sync.interval == 42
    assert after.sync.next_at == connector.sync.last_at + timedelta(minutes=42)
    assert (await world.document(connector.id))["sync"]["dueAt"] == after.sync.next_at


async def test_a_shorter_interval_that_is_over_makes_it_due_now(world: World) -> None:
    connector = await world.synced()
    ago = utc_now() - timedelta(minutes=3)
    await world.change(connector.id, {"connectionDetails.lastSyncAt": ago})
    await world.sync_service.update_settings(connector.id, 2, [], None)
    await world.claim(connector.id)


async def test_settings_leave_a_run_alone(world: World) -> None:
    connector = await world.connected()
    due = (await world.document(connector.id))["sync"]["dueAt"]
    after = await world.sync_service.update_settings(connector.id, 7, ["trades"], False)
    assert after.sync.run == connector.sync.run
    assert (await world.document(connector.id))["sync"]["dueAt"] == due


async def test_settings_of_a_disconnected_connector_apply_when_it_is_connected_again(
    world: World,
) -> None:
    connector = await world.synced()
    await world.service.disconnect(connector.id)
    after = await world.sync_service.update_settings(connector.id, 7, [], False)
    assert after.sync.next_at is None
    again, _ = await world.connect(connector.user_id, connector.platform, ["trades"], {})
    assert (again.sync.interval, again.sync.auto) == (7, False)


async def test_settings_take_values_as_they_are(world: World) -> None:
    connector = await world.synced()
    await world.syncs.set_settings(connector.id, {"metadata.dataTypes": ["$userId"]}, [])
    assert (await world.get(connector.id)).sync.data_types == ("$userId",)
