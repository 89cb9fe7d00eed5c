"""One run after another: what it keeps, how it ends, and that a lost claim writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pymongo.errors import AutoReconnect, NetworkTimeout

from server.core.clock import utc_now
from server.core.pages import PageRequest
from server.domains.connectors.connections import documents
from server.domains.connectors.connections.sessions import new_sync_id
from server.domains.connectors.connections.store import CONNECTORS, SYNC_JOBS
from server.domains.connectors.model import Connector, ConnectorFilter, DataTypeCount, Missing
from server.domains.connectors.sync import runner as runner_module
from server.domains.connectors.sync.store import Outcome, SyncStore
from server.jobs import queue
from server.jobs.queue import Job, JobQueue
from server.platforms.base import PermissionRefused, PlatformDataError, PlatformUnavailable
from server.storage import persistence
from server.storage.driver import ClientSession, Database, Document
from tests.domains.connectors.sync_world import ALL, Checkpoint, InProcess, World, transaction
from tests.domains.connectors.waiting import eventually

AWAY = PlatformUnavailable("The platform is away")
EVERYTHING = ConnectorFilter()


def minutes_to_the_next(connector: Connector) -> int:
    """From the last run; MongoDB's clock and this one agree to a second."""
    assert connector.sync.next_at is not None
    return round((connector.sync.next_at - connector.history[0].synced_at).total_seconds() / 60)


async def test_a_first_sync_keeps_everything(world: World) -> None:
    before = utc_now()
    connector = await world.connected()
    assert connector.sync.run is not None
    connector = await world.sync(connector.id)
    assert await world.kept(connector.id) == {
        "transactions": 2, "portfolio": 3, "trades": 1, "profile": 1,
    }  # fmt: skip
    (entry,) = connector.history
    assert (entry.status, entry.records_count, entry.added_count) == ("success", 7, 7)
    assert {c.data_type: (c.records_count, c.added_count) for c in entry.counts} == {
        "transactions": (2, 2), "portfolio": (3, 3), "trades": (1, 1), "profile": (1, 1),
    }  # fmt: skip
    assert entry.started_at is not None
    assert before <= entry.started_at <= entry.synced_at <= utc_now()
    assert (connector.totals.runs, connector.totals.successful, connector.totals.failed) == (
        1,
        1,
        0,
    )
    assert connector.sync.last_at == connector.totals.last_success_at == entry.synced_at
    assert minutes_to_the_next(connector) == 5
    assert connector.sync.run is None
    assert (await world.document(connector.id))["sync"]["dueAt"] == connector.sync.next_at


async def test_the_run_has_the_id_that_was_promised(world: World) -> None:
    connector = await world.connected()
    assert connector.sync.run is not None
    synced = await world.sync(connector.id)
    assert synced.last_sync_id == connector.sync.run.sync_id


async def test_the_same_again_adds_nothing(world: World) -> None:
    connector = await world.synced()
    before = await world.records.page(connector.id, None, PageRequest(limit=100))
    connector = await world.sync(connector.id)
    assert connector.history[0].records_count == 7
    assert connector.history[0].added_count == 0
    assert await world.records.page(connector.id, None, PageRequest(limit=100)) == before


async def test_only_what_is_wanted_is_fetched(world: World) -> None:
    connector = await world.synced("trades", "profile")
    assert world.platform.fetched == ["trades", "profile"]
    assert await world.kept(connector.id) == {"trades": 1, "profile": 1}


async def test_a_failed_run_keeps_nothing_and_says_why(world: World) -> None:
    world.platform.fail_with(AWAY)
    connector = await world.synced()
    (entry,) = connector.history
    assert entry.status == "failed"
    assert (entry.error_code, entry.error_message) == ("PLATFORM_UNAVAILABLE", str(AWAY))
    assert (entry.records_count, entry.added_count, entry.counts) == (None, None, ())
    assert (connector.totals.runs, connector.totals.successful, connector.totals.failed) == (
        1,
        0,
        1,
    )
    assert connector.status == "connected"
    assert connector.sync.last_at is None
    assert connector.errors[0].error_code == "PLATFORM_UNAVAILABLE"
    assert await world.kept(connector.id) == {}


async def test_a_run_that_brought_a_part_is_partial(world: World) -> None:
    world.platform.failures = {"trades": PermissionRefused("Not allowed")}
    connector = await world.synced()
    (entry,) = connector.history
    assert (entry.status, entry.error_code) == ("partial", "PERMISSION_REFUSED")
    assert entry.missing == (Missing("trades", "PERMISSION_REFUSED", "Not allowed"),)
    # A refused data type does not keep the others from being fetched.
    assert [c.data_type for c in entry.counts] == ["transactions", "portfolio", "profile"]
    assert entry.records_count == 6
    assert (connector.totals.runs, connector.totals.successful, connector.totals.failed) == (
        1,
        0,
        0,
    )
    assert connector.totals.success_rate == 0
    assert connector.sync.last_at == entry.synced_at
    assert connector.totals.last_success_at is None


async def test_five_failures_in_a_row_are_an_error_and_a_success_clears_it(world: World) -> None:
    connector = await world.connected()
    world.platform.fail_with(PlatformDataError("Not understood"))
    pauses = []
    for number in range(1, 8):
        connector = await world.sync(connector.id)
        assert connector.status == ("connected" if number < 5 else "error")
        assert connector.sync.failures == number
        pauses.append(minutes_to_the_next(connector))
    # Syncing goes on, more slowly.
    assert pauses == [5, 5, 5, 5, 10, 20, 40]
    assert len(connector.errors) == 7
    assert await world.lists.count_by_status(EVERYTHING) == {("fi_money", "error", True): 1}
    world.platform.fail_with(None)
    connector = await world.sync(connector.id)
    assert (connector.status, connector.sync.failures) == ("connected", 0)
    assert minutes_to_the_next(connector) == 5
    assert (connector.totals.runs, connector.totals.successful, connector.totals.failed) == (
        8,
        1,
        7,
    )
    assert connector.totals.success_rate == 12.5


async def test_a_partial_run_interrupts_a_row_of_failures(world: World) -> None:
    connector = await world.connected()
    world.platform.fail_with(AWAY)
    for _ in range(4):
        connector = await world.sync(connector.id)
    world.platform.failures = {"profile": PermissionRefused("Not allowed")}
    connector = await world.sync(connector.id)
    world.platform.fail_with(AWAY)
    connector = await world.sync(connector.id)
    assert (connector.status, connector.sync.failures) == ("connected", 1)


async def test_history_and_errors_are_bounded_and_totals_are_not(world: World) -> None:
    connector = await world.connected()
    world.platform.fail_with(AWAY)
    connector = await world.sync(connector.id)
    document = await world.document(connector.id)
    await world.change(
        connector.id,
        {
            "syncHistory": document["syncHistory"] * 50,
            "errors": document["errors"] * 20,
            "sync.total": 50,
            "sync.failed": 50,
        },
    )
    world.platform.fail_with(None)
    connector = await world.sync(connector.id)
    world.platform.fail_with(PlatformDataError("Another reason"))
    connector = await world.sync(connector.id)
    assert [entry.status for entry in connector.history] == ["failed", "success", *["failed"] * 48]
    assert len(connector.errors) == 20
    assert [entry.error_code for entry in connector.errors[:2]] == [
        "PLATFORM_DATA_ERROR",
        "PLATFORM_UNAVAILABLE",
    ]
    assert (connector.totals.runs, connector.totals.successful, connector.totals.failed) == (
        52,
        1,
        51,
    )


async def test_a_run_that_takes_too_long_is_broken_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "RUN_SECONDS", 0.05)
    world.platform.before_fetch = Checkpoint()
    connector = await world.synced()
    assert connector.history[0].status == "failed"
    assert connector.history[0].error_code == "PLATFORM_ERROR"
    assert "too long" in (connector.history[0].error_message or "")


# The session


async def test_an_ended_session_expires_the_connector(world: World) -> None:
    connector = await world.synced()
    world.platform.session_over = True
    connector = await world.sync(connector.id)
    assert connector.status == "expired"
    assert connector.session.id is None
    assert connector.session.disconnected_at is not None
    assert connector.sync.next_at is None
    assert connector.history[0].status == "failed"
    assert connector.history[0].error_code == "REAUTH_REQUIRED"
    assert connector.errors[0].error_code == "REAUTH_REQUIRED"
    assert connector.sync.failures == 0  # `error` is for other reasons
    assert await world.sessions.login_url(connector) == "https://platform.test/login"
    await world.make_due(connector.id)
    assert await world.syncs.claim() is None


async def test_a_session_that_the_platform_renews_goes_on(world: World) -> None:
    connector = await world.synced()
    world.platform.session_over = True
    world.platform.renewable = True
    after = await world.sync(connector.id)
    assert (after.status, after.history[0].status) == ("connected", "success")
    assert after.session.id not in {None, connector.session.id}
    assert after.session.connected_at == connector.session.connected_at
    assert (await world.sessions.open(after)).secrets == {"token": "tok_2"}


async def test_an_expired_connector_whose_login_page_is_away(world: World) -> None:
    connector = await world.synced()
    world.platform.session_over = True
    world.platform.cannot_log_in = AWAY
    connector = await world.sync(connector.id)
    assert connector.status == "expired"
    assert await world.sessions.login_url(connector) is None


async def test_a_session_that_does_not_open_expires_the_connector(world: World) -> None:
    connector = await world.connected()
    await world.change(connector.id, {"credentials.encryptedToken": "of another tool"})
    connector = await world.sync(connector.id)
    assert connector.status == "expired"
    assert connector.history[0].error_code == "REAUTH_REQUIRED"
    assert world.platform.fetched == []


async def test_a_session_refreshed_while_the_old_one_ended_is_not_thrown_away(world: World) -> None:
    connector = await world.synced()

    async def refresh() -> None:
        world.platform.before_fetch = None
        await world.service.refresh(connector.id, {})
        world.platform.session_over = True

    world.platform.before_fetch = refresh
    synced = await world.sync(connector.id)
    assert synced.status == "connected"
    assert synced.session.id is not None
    assert synced.session.id != connector.session.id
    assert synced.history[0].error_code == "REAUTH_REQUIRED"


# What changes while a run is under way


async def under_way(world: World, connector: Connector) -> tuple[Checkpoint, asyncio.Task[None]]:
    """A run of `connector` that waits for its data."""
    checkpoint = Checkpoint()
    world.platform.before_fetch = checkpoint
    if (await world.get(connector.id)).sync.run is None:
        await world.syncs.request_run(connector.id, new_sync_id(), [])
    run = asyncio.create_task(world.runner.run(await world.claim(connector.id)))
    async with asyncio.timeout(10):
        await checkpoint.reached.wait()
    return checkpoint, run


async def finished(checkpoint: Checkpoint, run: asyncio.Task[None]) -> None:
    checkpoint.opened.set()
    async with asyncio.timeout(10):
        await run


async def test_settings_changed_during_a_run_apply_afterwards(world: World) -> None:
    connector = await world.synced()
    checkpoint, run = await under_way(world, connector)
    changed = await world.sync_service.update_settings(connector.id, 30, ["trades"], None)
    assert (changed.sync.interval, changed.sync.data_types) == (30, ("trades",))
    assert changed.sync.run is not None
    await finished(checkpoint, run)
    after = await world.get(connector.id)
    assert (after.sync.interval, after.sync.data_types) == (30, ("trades",))
    assert minutes_to_the_next(after) == 30


async def test_auto_sync_switched_off_during_a_run(world: World) -> None:
    connector = await world.synced()
    checkpoint, run = await under_way(world, connector)
    meanwhile = await world.sync_service.update_settings(connector.id, None, [], False)
    assert (meanwhile.sync.auto, meanwhile.sync.next_at) == (False, None)
    await finished(checkpoint, run)
    after = await world.get(connector.id)
    assert after.history[0].status == "success"
    assert (after.sync.auto, after.sync.next_at) == (False, None)
    assert "dueAt" not in (await world.document(connector.id))["sync"]


async def test_auto_sync_switched_on_during_a_run(world: World) -> None:
    connector = await world.synced()
    await world.sync_service.update_settings(connector.id, None, [], False)
    checkpoint, run = await under_way(world, connector)
    await world.sync_service.update_settings(connector.id, None, [], True)
    await finished(checkpoint, run)
    after = await world.get(connector.id)
    assert minutes_to_the_next(after) == 5


async def test_the_interval_changed_during_a_run_of_a_connector_in_error(world: World) -> None:
    connector = await world.connected()
    world.platform.fail_with(AWAY)
    for _ in range(4):
        connector = await world.sync(connector.id)
    checkpoint, run = await under_way(world, connector)
    await world.sync_service.update_settings(connector.id, 7, [], None)
    await finished(checkpoint, run)
    after = await world.get(connector.id)
    assert after.status == "error"
    assert minutes_to_the_next(after) == 14


async def test_disconnected_during_a_run(world: World) -> None:
    connector = await world.synced()
    checkpoint, run = await under_way(world, connector)
    ended = await world.service.disconnect(connector.id)
    assert ended.history[0].error_code == "RUN_CANCELLED"
    document = await world.document(connector.id)
    await finished(checkpoint, run)
    assert await world.document(connector.id) == document
    assert ended.status == "disconnected"
    assert (ended.totals.runs, ended.totals.failed) == (2, 1)


async def test_connected_again_during_a_run_of_the_former_session(world: World) -> None:
    connector = await world.synced("trades")
    checkpoint, run = await under_way(world, connector)
    world.platform.items["trades"] = []
    await world.service.disconnect(connector.id)
    again, _ = await world.connect(connector.user_id, connector.platform, ALL, {})
    assert again.sync.run is not None
    document = await world.document(connector.id)
    await finished(checkpoint, run)
    assert await world.document(connector.id) == document
    assert (await world.sync(connector.id)).last_sync_id == again.sync.run.sync_id


async def test_user_deleted_during_a_run(world: World) -> None:
    connector = await world.connected()
    checkpoint, run = await under_way(world, connector)
    await world.user_service.delete(connector.user_id)
    assert await world.connectors.get(connector.id) is None
    await finished(checkpoint, run)
    assert await world.connectors.get(connector.id) is None
    assert await world.lists.count_by_status(EVERYTHING) == {}
    assert await world.kept(connector.id) == {}  # what it still fetched was not written
    assert await world.records.erase_some() is True
    assert await world.kept(connector.id) == {}
    assert world.platform.logged_out


async def test_user_suspended_during_a_run(world: World) -> None:
    connector = await world.connected()
    assert connector.sync.run is not None
    checkpoint, run = await under_way(world, connector)
    await world.user_service.set_status(connector.user_id, "suspended")
    stopped = await world.get(connector.id)
    assert (stopped.sync.paused, stopped.sync.next_at, stopped.sync.run) == (True, None, None)
    assert (stopped.history[0].error_code, stopped.history[0].sync_id) == (
        "RUN_CANCELLED",
        connector.sync.run.sync_id,
    )
    document = await world.document(connector.id)
    await finished(checkpoint, run)
    assert await world.document(connector.id) == document
    await world.make_due(connector.id)  # were it so, nothing would come of it
    await world.runner.run(await world.claim(connector.id))
    after = await world.get(connector.id)
    assert (after.totals.runs, after.sync.run) == (1, None)
    assert "dueAt" not in (await world.document(connector.id))["sync"]


# Crashes, and claims that were lost


async def test_a_run_whose_worker_died_is_written_off_and_another_follows(world: World) -> None:
    connector = await world.synced()
    checkpoint, run = await under_way(world, connector)
    dead = await world.get(connector.id)
    assert dead.sync.run is not None
    assert dead.sync.run.started_at is not None
    assert await world.syncs.claim() is None  # nobody touches it while its claim holds
    await world.make_due(connector.id)
    rescuer = world.another_runner(InProcess())
    await rescuer.run(await world.claim(connector.id))
    after = await world.get(connector.id)
    new, lost, first = after.history
    assert (lost.status, lost.error_code) == ("failed", "RUN_ABANDONED")
    assert (lost.sync_id, lost.started_at) == (dead.sync.run.sync_id, dead.sync.run.started_at)
    assert lost.error_message
    assert new.status == "success"
    assert new.sync_id not in {lost.sync_id, first.sync_id}
    assert (after.totals.runs, after.totals.successful, after.totals.failed) == (3, 2, 1)
    assert (after.sync.failures, after.sync.run) == (0, None)
    # The worker lives after all: it writes nothing any more.
    document, kept = await world.document(connector.id), await world.kept(connector.id)
    world.platform.items["transactions"].append(transaction("late"))
    await finished(checkpoint, run)
    assert await world.document(connector.id) == document
    assert await world.kept(connector.id) == kept


async def test_a_lost_lease_does_not_fail_either(world: World) -> None:
    connector = await world.synced()
    checkpoint, run = await under_way(world, connector)
    await world.make_due(connector.id)
    await world.claim(connector.id)
    document = await world.document(connector.id)
    world.platform.fail_with(AWAY)
    await finished(checkpoint, run)
    assert await world.document(connector.id) == document


async def test_a_lost_lease_does_not_expire_the_connector(world: World) -> None:
    connector = await world.synced()
    checkpoint, run = await under_way(world, connector)
    await world.make_due(connector.id)
    await world.claim(connector.id)
    document = await world.document(connector.id)
    world.platform.session_over = True
    await finished(checkpoint, run)
    assert await world.document(connector.id) == document


async def test_a_lost_lease_closes_no_holdings(world: World) -> None:
    connector = await world.synced()
    checkpoint, run = await under_way(world, connector)
    await world.make_due(connector.id)
    await world.another_runner(InProcess()).run(await world.claim(connector.id))
    world.platform.items["portfolio"] = []
    await finished(checkpoint, run)
    records, _ = await world.records.page(connector.id, "portfolio", PageRequest(limit=100))
    assert [record.closed_at for record in records] == [None, None, None]


async def test_the_heartbeat_notices_a_lost_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "HEARTBEATS_A_LEASE", 1_500)
    connector = await world.synced()
    _, run = await under_way(world, connector)
    await world.make_due(connector.id)
    while await world.syncs.claim() is None:  # a heartbeat may have come in between
        await world.make_due(connector.id)
    document = await world.document(connector.id)
    async with asyncio.timeout(10):
        await run  # its platform never answers
    assert await world.document(connector.id) == document


async def test_the_heartbeat_keeps_the_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "HEARTBEATS_A_LEASE", 1_500)
    connector = await world.synced()
    checkpoint, run = await under_way(world, connector)
    first = (await world.document(connector.id))["sync"]["dueAt"]

    async def extended() -> bool:
        return bool((await world.document(connector.id))["sync"]["dueAt"] != first)

    await eventually(extended, "the claim to be extended")
    await finished(checkpoint, run)
    assert (await world.get(connector.id)).history[0].status == "success"


async def test_a_heartbeat_that_failed_comes_again_soon(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "HEARTBEATS_A_LEASE", 1_500)
    monkeypatch.setattr(queue, "RETRY_SECONDS", 0.01)
    connector = await world.synced()
    keep, again = world.syncs.jobs.keep, asyncio.Event()

    async def failing_once(job: Job[Connector], fields: Document) -> bool:
        if not failed.is_set():
            monkeypatch.setattr(queue, "HEARTBEATS_A_LEASE", 0.001)
            failed.set()
            raise AutoReconnect
        again.set()
        return await keep(job, fields)

    failed = asyncio.Event()
    monkeypatch.setattr(world.syncs.jobs, "keep", failing_once)
    checkpoint, run = await under_way(world, connector)
    async with asyncio.timeout(10):
        await again.wait()
    await finished(checkpoint, run)
    assert (await world.get(connector.id)).history[0].status == "success"


async def test_a_silent_database_fails_no_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persistence, "PAUSE_SECONDS", 0)
    connectors = world.database.collection(CONNECTORS)
    asked = 0

    class Lossy:
        """Does all it is asked to, and answers every other time."""

        async def update_one(self, *given: Any, **named: Any) -> Any:
            nonlocal asked
            asked += 1
            if asked % 2:
                raise NetworkTimeout("no answer")
            return await connectors.update_one(*given, **named)

    connector = await world.connected()
    claimed = await world.claim(connector.id)
    budget = iter([AutoReconnect("no budget")])

    async def silent_once() -> None:
        for error in budget:
            raise error

    world.platform.before_fetch = silent_once
    monkeypatch.setattr(world.syncs.jobs, "_collection", Lossy())
    await world.runner.run(claimed)
    after = await world.get(connector.id)
    assert [entry.status for entry in after.history] == ["success"]
    assert after.history[0].added_count == sum((await world.kept(connector.id)).values())
    assert asked > 5


async def test_what_a_run_added_before_it_was_handed_back_counts(world: World) -> None:
    connector = await world.connected("transactions", "portfolio")
    checkpoint = Checkpoint()

    async def at_the_second() -> None:
        if world.platform.fetched:
            await checkpoint()

    world.platform.before_fetch = at_the_second
    run = asyncio.create_task(world.runner.run(await world.claim(connector.id)))
    async with asyncio.timeout(10):
        await checkpoint.reached.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert await world.kept(connector.id) == {"transactions": 2}
    world.platform.before_fetch = None
    after = await world.sync(connector.id)
    assert [(c.data_type, c.added_count) for c in after.history[0].counts] == [
        ("transactions", 2),
        ("portfolio", 3),
    ]


async def test_cancelled_a_run_is_handed_back_under_the_same_id(world: World) -> None:
    connector = await world.synced()
    _, run = await under_way(world, connector)
    began = (await world.get(connector.id)).sync.run
    assert began is not None
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    waiting = await world.get(connector.id)
    assert waiting.sync.run is not None
    assert (waiting.sync.run.sync_id, waiting.sync.run.started_at) == (began.sync_id, None)
    world.platform.before_fetch = None
    after = await world.sync(connector.id)  # due at once
    assert after.last_sync_id == began.sync_id
    assert (after.totals.runs, after.totals.failed) == (2, 0)


async def second_fetch(world: World, connector: Connector) -> tuple[Checkpoint, asyncio.Task[None]]:
    """A run that has brought its first data type, and waits for the platform with the second."""
    checkpoint = Checkpoint()

    async def before_fetch() -> None:
        if world.platform.fetched:
            await checkpoint()

    world.platform.before_fetch = before_fetch
    run = asyncio.create_task(world.runner.run(await world.claim(connector.id)))
    async with asyncio.timeout(10):
        await checkpoint.reached.wait()
    return checkpoint, run


async def test_a_run_under_way_reports_what_it_has_brought(world: World) -> None:
    connector = await world.connected("transactions", "trades")
    assert connector.sync.run is not None
    checkpoint, run = await second_fetch(world, connector)
    state = await world.sync_service.get(connector.id, connector.sync.run.sync_id)
    assert (state.state, state.counts) == ("in_progress", (DataTypeCount("transactions", 2, 2),))
    await finished(checkpoint, run)


async def test_a_run_handed_back_goes_on_with_what_it_had_brought(world: World) -> None:
    connector = await world.connected("transactions", "trades")
    _, run = await second_fetch(world, connector)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    world.platform.before_fetch = None
    world.platform.fetched.clear()
    after = await world.sync(connector.id)
    assert world.platform.fetched == ["trades"]
    (entry,) = after.history
    assert (entry.status, entry.records_count, entry.added_count) == ("success", 3, 3)


async def test_a_run_cancelled_half_way_reports_what_it_had_brought(world: World) -> None:
    connector = await world.connected("transactions", "trades")
    assert connector.sync.run is not None
    checkpoint, run = await second_fetch(world, connector)
    await world.sync_service.cancel(connector.id, connector.sync.run.sync_id)
    await finished(checkpoint, run)
    (entry,) = (await world.get(connector.id)).history
    assert (entry.error_code, entry.records_count, entry.added_count) == ("RUN_CANCELLED", 2, 2)
    assert await world.kept(connector.id) == {"transactions": 2}


class SlowToReturn(SyncStore):
    """Finishes a run, and hears of it too late."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.finished = asyncio.Event()

    async def finish(
        self, job: Job[Connector], outcome: Outcome, session: ClientSession | None = None
    ) -> bool:
        await super().finish(job, outcome, session)
        self.finished.set()
        return await asyncio.Future()


async def test_cancelled_while_it_ends_a_run_is_not_done_twice(world: World) -> None:
    connector = await world.connected()
    assert connector.sync.run is not None
    syncs = SlowToReturn(world.database)
    claimed = await world.claim(connector.id)
    run = asyncio.create_task(world.another_runner(syncs=syncs).run(claimed))
    async with asyncio.timeout(10):
        await syncs.finished.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    after = await world.get(connector.id)
    assert [entry.sync_id for entry in after.history] == [connector.sync.run.sync_id]
    assert after.sync.run is None
    assert await world.syncs.claim() is None


class Dying(JobQueue[Connector]):
    """Of a worker that dies: it hands nothing back."""

    async def release(self, job: Job[Connector], fields: Mapping[str, Any] | None = None) -> bool:
        return False


async def dies(world: World, connector: Connector) -> None:
    """A worker begins what is due and dies; its claim lapses."""
    checkpoint = Checkpoint()
    world.platform.before_fetch = checkpoint
    syncs = SyncStore(world.database)
    syncs.jobs = Dying(world.database, SYNC_JOBS, documents.connector)
    runner = world.another_runner(syncs=syncs)
    run = asyncio.create_task(runner.run(await world.claim(connector.id)))
    async with asyncio.timeout(10):
        await checkpoint.reached.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    world.platform.before_fetch = None
    await world.make_due(connector.id)


async def test_abandoned_runs_are_failures_in_a_row_too(world: World) -> None:
    connector = await world.connected()
    before = counted("RUN_ABANDONED")
    for _ in range(4):
        await dies(world, connector)
    world.platform.fail_with(AWAY)
    await world.runner.run(await world.claim(connector.id))
    after = await world.get(connector.id)
    codes = [entry.error_code for entry in after.history]
    assert codes == ["PLATFORM_UNAVAILABLE", *["RUN_ABANDONED"] * 4]
    assert len({entry.sync_id for entry in after.history}) == 5
    assert (after.sync.failures, after.status) == (5, "error")
    assert counted("RUN_ABANDONED") == before + 4


def counted(code: str) -> float:
    """The failed runs of that code, as Prometheus would read it."""
    labels = {"platform": "fi_money", "status": "failed", "code": code}
    return REGISTRY.get_sample_value("finlink_sync_run_seconds_count", labels) or 0


async def test_a_lease_with_nothing_to_do_is_released(world: World) -> None:
    connector = await world.synced()
    await world.sync_service.update_settings(connector.id, None, [], False)
    await world.make_due(connector.id)
    await world.runner.run(await world.claim(connector.id))
    after = await world.get(connector.id)
    assert (after.totals.runs, after.sync.next_at) == (1, None)
    await world.sync_service.update_settings(connector.id, None, [], True)
    assert (await world.get(connector.id)).sync.next_at is not None
