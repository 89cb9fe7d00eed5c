"""Schedulers as two workers run them, on one database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from server.domains.connectors.model import Connector
from server.jobs import scheduler as scheduler_module
from server.kernel import Engine
from tests.domains.connectors.sync_world import Checkpoint, InProcess, World
from tests.domains.connectors.waiting import eventually


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_module, "POLL_SECONDS", 0.02)


@asynccontextmanager
async def working(*schedulers: Engine, grace: float = 1) -> AsyncIterator[None]:
    for scheduler in schedulers:
        scheduler.start()
    try:
        yield
    finally:
        await asyncio.gather(*(stopped(scheduler, grace) for scheduler in schedulers))


async def stopped(scheduler: Engine, grace: float = 1) -> None:
    async with asyncio.timeout(grace + 10):
        await scheduler.stop(grace)


async def runs_of(world: World, connector: Connector, count: int) -> Connector:
    async def probe() -> Connector | None:
        found = await world.get(connector.id)
        return found if found.totals.runs >= count and found.sync.run is None else None

    return await eventually(probe, f"{count} runs")


class Watching(InProcess):
    """Notices when one connector is worked on by two runs at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.at_work: Counter[str] = Counter()
        self.most_at_once = 0
        self.most_together = 0

    async def fetch(self, session, data_type):  # type: ignore[no-untyped-def]
        whose = session.secrets["token"]
        self.at_work[whose] += 1
        self.most_at_once = max(self.most_at_once, self.at_work[whose])
        self.most_together = max(self.most_together, self.at_work.total())
        try:
            for _ in range(5):
                await asyncio.sleep(0)
            return await super().fetch(session, data_type)
        finally:
            self.at_work[whose] -= 1


async def test_what_is_due_is_done(world: World) -> None:
    connectors = [await world.connected() for _ in range(3)]
    async with working(world.scheduler()):
        for connector in connectors:
            after = await runs_of(world, connector, 1)
            assert after.history[0].status == "success"


async def test_two_workers_never_work_on_one_connector_at_a_time(world: World) -> None:
    world.platform = Watching()
    world.platforms[world.platform.name] = world.platform
    connectors = [await world.connected() for _ in range(4)]
    schedulers = [world.scheduler(world.another_runner()) for _ in range(2)]
    rounds = 4
    async with working(*schedulers):
        for number in range(1, rounds + 1):
            for connector in connectors:
                await runs_of(world, connector, number)
                if number < rounds:
                    await world.make_due(connector.id)
                for scheduler in schedulers:
                    scheduler.wake()
    for connector in connectors:
        after = await world.get(connector.id)
        assert [entry.status for entry in after.history] == ["success"] * rounds
        assert len({entry.sync_id for entry in after.history}) == rounds
        assert (after.totals.runs, after.sync.fence) == (rounds, rounds)
    assert world.platform.most_at_once == 1


async def test_no_more_runs_than_allowed_at_a_time(world: World) -> None:
    world.platform = Watching()
    world.platforms[world.platform.name] = world.platform
    connectors = [await world.connected("trades") for _ in range(6)]
    async with working(world.scheduler(concurrency=2)):
        for connector in connectors:
            await runs_of(world, connector, 1)
    assert world.platform.most_together <= 2


async def test_the_interval_sync_follows_by_itself(world: World) -> None:
    connector = await world.connected()
    async with working(world.scheduler()):
        await runs_of(world, connector, 1)
        await world.make_due(connector.id)
        after = await runs_of(world, connector, 2)
    assert [entry.added_count for entry in after.history] == [0, 7]


async def test_without_auto_sync_only_wanted_runs(world: World) -> None:
    connector = await world.connected()
    async with working(world.scheduler()):
        await runs_of(world, connector, 1)
        await world.sync_service.update_settings(connector.id, None, [], False)
        await world.make_due(connector.id)

        async def given_back() -> bool:
            return "dueAt" not in (await world.document(connector.id))["sync"]

        await eventually(given_back, "the claim to be given back")
        assert (await world.get(connector.id)).totals.runs == 1
        triggered = await world.sync_service.trigger(connector.id, [], force=True)
        after = await runs_of(world, connector, 2)
    assert after.last_sync_id == triggered.sync_id
    assert after.sync.next_at is None


async def test_a_crashed_worker_s_run_is_taken_over(world: World) -> None:
    connector = await world.connected()
    dead = (await world.claim(connector.id)).item.sync.run
    assert dead is not None
    async with working(world.scheduler(), world.scheduler()):
        await world.make_due(connector.id)  # as the claim lapses
        after = await runs_of(world, connector, 2)
    assert [entry.error_code for entry in after.history] == [None, "RUN_ABANDONED"]
    assert after.history[1].sync_id == dead.sync_id


async def test_a_stopping_worker_lets_its_runs_end(world: World) -> None:
    connector = await world.connected()
    checkpoint = Checkpoint()
    world.platform.before_fetch = checkpoint
    scheduler = world.scheduler(concurrency=1)
    scheduler.start()
    async with asyncio.timeout(60):
        await checkpoint.reached.wait()
        stopping = asyncio.create_task(stopped(scheduler, grace=60))
        checkpoint.opened.set()
        await stopping
    assert (await world.get(connector.id)).history[0].status == "success"


async def test_a_stopping_worker_hands_back_what_does_not_end(world: World) -> None:
    connector = await world.connected()
    assert connector.sync.run is not None
    checkpoint = Checkpoint()
    world.platform.before_fetch = checkpoint
    scheduler = world.scheduler(concurrency=1)
    scheduler.start()
    async with asyncio.timeout(10):
        await checkpoint.reached.wait()
        await stopped(scheduler, grace=0)
    world.platform.before_fetch = None
    async with working(world.scheduler()):
        after = await runs_of(world, connector, 1)
    assert [entry.sync_id for entry in after.history] == [connector.sync.run.sync_id]
    assert after.history[0].status == "success"


async def test_records_of_removed_connectors_are_erased(world: World) -> None:
    gone, other = await world.synced(), await world.synced()
    await world.user_service.delete(gone.user_id)
    async with working(world.erasing(), world.erasing()):

        async def erased() -> bool:
            erasures = world.database.collection("record_erasures")
            return await erasures.count_documents({}) == 0

        await eventually(erased, "the records to be erased")
    assert await world.kept(gone.id) == {}
    assert sum((await world.kept(other.id)).values()) == 7


async def test_many_triggers_at_once_are_one_run(world: World) -> None:
    connector = await world.synced()
    checkpoint = Checkpoint()
    world.platform.before_fetch = checkpoint
    async with working(world.scheduler(), world.scheduler()):
        replies = await asyncio.gather(
            *(world.sync_service.trigger(connector.id, [], force=True) for _ in range(10))
        )
        assert len({reply.sync_id for reply in replies}) == 1
        checkpoint.opened.set()
        after = await runs_of(world, connector, 2)
    assert after.last_sync_id == replies[0].sync_id
    assert after.totals.runs == 2
