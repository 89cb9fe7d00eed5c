"""A primary that steps down and a MongoDB that freezes, under workers that sync and callers who write.

Nothing acknowledged is lost and no run happens twice; workers and servers recover by themselves.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import pytest
from pymongo.errors import PyMongoError

from server.domains.connectors.connections.store import CONNECTORS
from server.storage.driver import Database
from tests.chaos import herd, ledger
from tests.chaos.figures import Figures
from tests.chaos.ground import Ground, ground
from tests.chaos.pack import Pack, pack
from tests.chaos.truth import Judge, Outage, calls_of, compare_records
from tests.chaos.writers import Writers
from tests.e2e import connector_steps as step
from tests.faults.load import healthy_workers, until

SLOW = {"kind": "slow", "ms": 300}
STEP_DOWN_SECONDS = 1


@dataclass
class Outages:
    """What was done to MongoDB, and how long callers felt it."""

    at: Ground
    writers: Writers
    workers: Pack
    in_flight: list[int] = field(default_factory=list)  # runs, as each began
    all: list[Outage] = field(default_factory=list)
    # From its end until a write was acknowledged, and until Envoy sends to all servers again.
    until_a_write: list[float] = field(default_factory=list)
    until_healthy: list[float] = field(default_factory=list)

    async def until_all_work(self) -> datetime:
        """Once callers and workers are at it: that moment."""
        target = self.writers.acknowledged + 20
        await until(lambda: self.writers.acknowledged >= target)
        await until(lambda: all(life.in_flight(_now()) for life in self.workers.free()))
        return _now()

    async def step_down(self) -> None:
        began = await self.until_all_work()
        async with step.database(self.at.stack) as documents:
            command = {
                "replSetStepDown": STEP_DOWN_SECONDS,
                "secondaryCatchUpPeriodSecs": 0,
                "force": True,
            }
            await documents.client.admin.command(command)
            await until_primary(documents)
        await self._over("step-down", began)

    async def freeze(self, seconds: float) -> None:
        began = await self.until_all_work()
        pid = self.at.stack.status()["pids"]["mongod"]
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)  # the fault itself
        finally:
            os.kill(pid, signal.SIGCONT)
        await self._over("freeze", began)
        assert self.at.stack.status()["pids"]["mongod"] == pid, "nobody has restarted it"

    async def _over(self, kind: str, began: datetime) -> None:
        ended = _now()
        self.all.append(Outage(kind, began, ended))
        self.in_flight.append(sum(len(life.in_flight(began)) for life in self.workers.free()))
        before = self.writers.acknowledged
        await until(lambda: self.writers.acknowledged > before)
        self.until_a_write.append((_now() - ended).total_seconds())
        await until(lambda: healthy_workers(self.at.stack) == 2)
        self.until_healthy.append((_now() - ended).total_seconds())


async def until_primary(documents: step.Documents) -> None:
    while not (await documents.client.admin.command("hello"))["isWritablePrimary"]:
        pass


@pytest.mark.full_only
async def test_a_database_that_steps_down_and_freezes(tmp_path: Path, figures: Figures) -> None:
    seed = secrets.randbelow(10**6)
    figures.show("seed", seed)
    draw = random.Random(seed)  # noqa: S311 - repeatable by the seed that is shown
    with ground(tmp_path, SYNC_CONCURRENCY="0") as at:
        async with (
            herd.database(at) as database,
            httpx.AsyncClient(base_url=f"{at.stack.rest}/api/v1", timeout=30) as api,
        ):
            await _strike(at, database, draw, Writers(api), figures)


async def _strike(
    at: Ground,
    database: Database,
    draw: random.Random,
    writers: Writers,
    figures: Figures,
) -> None:
    at.sandbox.put("/clock", {"now": _now().isoformat(), "frozen": True})
    for platform in herd.WANTED:
        at.sandbox.faults(platform, "*", SLOW)
    since = await ledger.moment(at.stack)
    members = await herd.gather(at, database, 150, draw)
    with pack(at, 2) as workers:
        outages = Outages(at, writers, workers)
        async with writers.at_work(12, sorted(members)), _due_again(database):
            for seconds in (10, 10):
                await outages.step_down()
                await outages.freeze(seconds)
            await outages.until_all_work()
        began = _now()
        await herd.still(database, partial(workers.lapse, database))
        stilled = (_now() - began).total_seconds()
        sample = draw.sample(list(members.values()), min(len(members), 100))
        calls = calls_of(at.sandbox)
        await compare_records(database, at.sandbox, sample, kept := ledger.Ledger())
    written = await ledger.ledger(at.stack, since)
    written.wrong |= kept.wrong
    judge = Judge(written, calls, workers, outages.all)
    await judge.judge(database, members)
    lost = await writers.lost()
    not_run = [run for _, run in writers.syncs if run not in written.runs]

    figures.show("outages", [str(outage) for outage in outages.all])
    figures.show("runs in flight as each began", outages.in_flight)
    figures.show("writes acknowledged", writers.acknowledged)
    figures.show("of those at the first try, the second, ...", sorted(writers.tries.items()))
    figures.show("answers to tries (0: none)", dict(writers.statuses))
    figures.show("acknowledged writes that were lost", len(lost))
    figures.show("syncs asked for that never ran", len(not_run))
    figures.show("runs", f"{len(written.runs)}, {dict(judge.states.most_common())}")
    figures.show("seconds from an outage's end to a write", _rounded(outages.until_a_write))
    figures.show("seconds from an outage's end to health", _rounded(outages.until_healthy))
    figures.show("seconds until all runs had ended", stilled)
    figures.show("faults of ours", [each for life in workers.lives for each in life.faults()])
    figures.show("wrong", written.reported() or "nothing")
    assert writers.strange == []
    assert written.wrong == {}
    assert written.open_runs() == []
    assert lost == []
    assert not_run == []
    assert len(writers.names) > 0
    assert judge.states["success"] > 0


@asynccontextmanager
async def _due_again(database: Database) -> AsyncIterator[None]:
    """While inside, connectors that have synced are due again soon."""

    over = asyncio.Event()

    async def again() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 1)
            with suppress(PyMongoError):  # it is away, as it is meant to be
                await database.collection(CONNECTORS).update_many(
                    {"sync.run": {"$exists": False}}, [{"$set": {"sync.dueAt": "$$NOW"}}]
                )

    task = asyncio.create_task(again())
    try:
        yield
    finally:
        over.set()  # not cancelled: the driver may lose that
        await task


def _rounded(seconds: Sequence[float]) -> list[float]:
    return [round(each, 1) for each in seconds]


def _now() -> datetime:
    return datetime.now(UTC)
