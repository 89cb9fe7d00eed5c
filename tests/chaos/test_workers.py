"""Workers that are killed, frozen and stopped while thousands of connectors are due.

Never two unexpired leases, no write under an old fence, no run lost, each run's records exactly once,
and a history that is true when it is compared with the sandbox's own log of calls.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from server.domains.connectors.connections.store import CONNECTORS
from server.storage.driver import Database
from tests.chaos import herd, ledger
from tests.chaos.figures import Figures
from tests.chaos.ground import Ground, ground
from tests.chaos.herd import Member
from tests.chaos.pack import Life, Pack, figures_of, pack
from tests.chaos.truth import Judge, calls_of, compare_records, run_once_more
from tests.e2e import connector_steps as step

# What goes wrong at the platforms meanwhile, each at some accounts.
TROUBLES: list[dict[str, Any]] = [
    {"kind": "throttled", "times": 2, "retry_after": 1},
    {"kind": "throttled", "times": 4, "after": 1},
    {"kind": "unavailable", "times": 4},
    {"kind": "unavailable", "times": 4, "after": 2},
    {"kind": "drop", "times": 4},
    {"kind": "partial", "times": 3},
    {"kind": "wrong_shape", "times": 2},
    {"kind": "slow", "ms": 2_500, "times": 5},
]
TIMEOUT_SECONDS = 120  # never reached unless something is broken
SLOW = {"kind": "slow", "ms": 150, "probability": 0.5}


async def test_workers_that_die(tmp_path: Path, figures: Figures, full: bool) -> None:
    seed = secrets.randbelow(10**6)
    figures.show("seed", seed)
    draw = random.Random(seed)  # noqa: S311 - repeatable by the seed that is shown
    with ground(tmp_path, SYNC_CONCURRENCY="0") as at:
        async with herd.database(at) as database:
            if full:
                await _race(at, database, figures, draw, size=4, count=2_000, seconds=180)
            else:
                await _race(at, database, figures, draw, size=2, count=20, seconds=0)


async def _race(
    at: Ground,
    database: Database,
    figures: Figures,
    draw: random.Random,
    *,
    size: int,
    count: int,
    seconds: float,
) -> None:
    # It stands still, so that what the platforms have does too.
    at.sandbox.put("/clock", {"now": datetime.now(UTC).isoformat(), "frozen": True})
    since = await ledger.moment(at.stack)
    members = await herd.gather(at, database, count, draw)
    await _trouble(at, members, draw)
    began = datetime.now(UTC)
    with pack(at, size) as workers:
        if seconds:
            await workers.torment(seconds, draw)
        else:
            await _three_blows(at, database, workers)
        raced = (datetime.now(UTC) - began).total_seconds()
        await herd.still(database, None if seconds else partial(workers.lapse, database))
        for platform in herd.WANTED:
            at.sandbox.clear_faults(platform, "*")
        sample = draw.sample(sorted(members.values(), key=lambda m: m.login), min(count, 200))
        await _clear(at, sample)
        await run_once_more(database, sample)
        await herd.still(database)
        calls = calls_of(at.sandbox)
        compared = await compare_records(database, at.sandbox, sample, kept := ledger.Ledger())
    written = await ledger.ledger(at.stack, since)
    written.wrong |= kept.wrong
    judge = Judge(written, calls, workers)
    await judge.judge(database, members)

    for what, figure in figures_of(workers):
        figures.show(what, figure)
    figures.show("connectors", count)
    figures.show("leases", written.leases)
    figures.show("runs", f"{len(written.runs)}, {dict(judge.states.most_common())}")
    figures.show("runs a second while racing", len(written.runs) / raced)
    figures.show("longest from a death to the takeover, seconds", judge.longest_takeover)
    figures.show("writes judged", written.writes)
    figures.show("records compared field by field", compared)
    figures.show("wrong", written.reported() or "nothing")
    assert written.wrong == {}
    assert written.open_runs() == []
    assert judge.states["RUN_ABANDONED"] == len(list(written.taken_over()))
    assert judge.states["success"] > 0
    assert any(life.in_flight(blow.at) for life, blow in workers.blows("kill"))
    assert judge.states["RUN_ABANDONED"] > 0


async def _three_blows(at: Ground, database: Database, workers: Pack) -> None:
    """Two kills and a freeze that hit runs in flight; time passes for what the struck ones held."""
    async with step.database(at.stack) as documents:
        shorter = {"setParameter": 1, "transactionLifetimeLimitSeconds": 1}
        await documents.client.admin.command(shorter)
    connectors = database.collection(CONNECTORS)
    for blow in (workers.kill, workers.freeze, workers.kill):
        # So that there is work whatever was done meanwhile.
        idle = {"sync.run": {"$exists": False}}
        await connectors.update_many(idle, [{"$set": {"sync.dueAt": "$$NOW"}}])
        life = await _at_work(workers)
        blow(life)
        held = life.in_flight(life.blows[-1].at)
        await _taken_over(database, workers, held)
        if life.worker.frozen:
            workers.thaw(life)


async def _at_work(workers: Pack) -> Life:
    """A worker once it has a run in flight; the first one may still have to start."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            for life in workers.free():
                if life.in_flight(datetime.now(UTC)):
                    return life
            await asyncio.sleep(0.02)


async def _taken_over(database: Database, workers: Pack, sync_ids: list[str]) -> None:
    left = {"sync.run.syncId": {"$in": sync_ids}}
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while await database.collection(CONNECTORS).find_one(left):
            await workers.lapse(database)
            await asyncio.sleep(0.02)


async def _trouble(at: Ground, members: Mapping[str, Member], draw: random.Random) -> None:
    struck = draw.sample(sorted(members.values(), key=lambda m: m.login), len(members) // 8)
    async with httpx.AsyncClient(base_url=at.sandbox.sandbox.control) as control:
        for platform in herd.WANTED:
            (await control.put(f"/accounts/{platform}/*/faults", json=[SLOW])).raise_for_status()
        for member in struck:
            path = f"/accounts/{member.platform}/{member.login}/faults"
            (await control.put(path, json=[draw.choice(TROUBLES)])).raise_for_status()


async def _clear(at: Ground, members: list[Member]) -> None:
    async with httpx.AsyncClient(base_url=at.sandbox.sandbox.control) as control:
        for member in members:
            path = f"/accounts/{member.platform}/{member.login}/faults"
            (await control.delete(path)).raise_for_status()
