"""Every process of a topology killed in turn, then everything restarted in order, under steady load.

Three mongod, two hosts with servers and a worker each, two Envoys, TLS between Envoys and servers. In
the short form a machine dies that has the primary and one of everything else, and nothing is restarted.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from pymongo.errors import PyMongoError

from server.domains.connectors.connections.store import CONNECTORS
from server.storage.driver import Database
from tests.chaos import herd, ledger
from tests.chaos.figures import Figures
from tests.topology.load import Load, Phase, load
from tests.topology.nodes import Node
from tests.topology.plant import Plant, plant

MEMBERS, SHORT_MEMBERS = 20, 8
CALLS_A_SECOND, SHORT_CALLS_A_SECOND = 100.0, 20.0  # the short form runs beside other tests
SLOW = {"kind": "slow", "ms": 200}  # so that a kill finds runs under way
BETWEEN_SECONDS = 1.0
DUE_AGAIN_SECONDS = (
    3.0  # some runs are under way at any time, and two cores still serve the callers' rate
)


async def test_a_topology_under_load(tmp_path: Path, figures: Figures, full: bool) -> None:
    seed = secrets.randbelow(10**6)
    figures.show("seed", seed)
    draw = random.Random(seed)  # noqa: S311 - repeatable by the seed that is shown
    count = MEMBERS if full else SHORT_MEMBERS
    began = time.monotonic()
    async with (
        plant(tmp_path, servers_a_host=2 if full else 1) as site,
        herd.database(site) as database,
    ):
        figures.show("seconds to start", time.monotonic() - began)
        for platform in herd.WANTED:
            site.sandbox.faults(platform, "*", SLOW)
        since = await ledger.moment(site.stack)
        members = await herd.gather(site, database, count, draw)
        rate = CALLS_A_SECOND if full else SHORT_CALLS_A_SECOND
        async with load(site.rests, sorted(members), draw, rate) as callers:
            async with callers.at_work(), _due_again(database):
                await callers.some(BETWEEN_SECONDS)
                deaths = await _kills(site, callers, figures, full=full)
                rolled = await _rolling_restart(site, callers, figures) if full else Phase()
                await callers.some(BETWEEN_SECONDS)
            await herd.still(database)
            lost, late = await callers.lost()
        written = await ledger.ledger(site.stack, since)

    figures.show("changes acknowledged", callers.acknowledged)
    figures.show("acknowledged changes that were lost", lost or 0)
    figures.show("changes without an answer that came after a later one", late)
    figures.show("runs of syncs", len(written.runs))
    figures.show("of those left by a worker and ended by another", len(list(written.taken_over())))
    figures.show("wrong with them", written.reported() or "nothing")
    # Beside other tests a machine may be too busy to reply in time; the complete form runs alone.
    assert not full or deaths.failed_reads == []
    assert lost == []
    assert written.wrong == {}
    assert written.open_runs() == []
    assert len(written.runs) > count
    assert (rolled.failed_reads, rolled.again, rolled.failed_changes) == ([], [], [])


async def _kills(site: Plant, callers: Load, figures: Figures, *, full: bool) -> Phase:
    """`kill -9` of one after another, the primary first; each is back before the next."""
    callers.phase = phase = Phase()
    primary = await site.primary()
    victims = [[primary], *([node] for node in site.nodes if node is not primary)]
    for together in victims if full else [_host(site, primary)]:
        before = _felt(phase)
        has_primary = await site.primary() in together
        for node in together:
            node.kill()
        began = time.monotonic()
        await site.primary()
        election = time.monotonic() - began
        await callers.some(BETWEEN_SECONDS)
        for node in together:
            node.start()
        await site.whole()
        felt = [after - then for then, after in zip(before, _felt(phase), strict=True)]
        reported = (
            f"changes refused {felt[0]}, reads asked once more {felt[1]}, stale reads {felt[2]}"
        )
        if has_primary:
            reported += f", {election:.1f} s without a primary"
        figures.show(f"kill -9 of {' '.join(node.name for node in together)}", reported)
    _show(figures, "kills", phase)
    return phase


async def _rolling_restart(site: Plant, callers: Load, figures: Figures) -> Phase:
    """SIGTERM, its end, its start, one after another, the primary last of the mongod."""
    callers.phase = phase = Phase()
    primary = await site.primary()
    mongods = [node for node in site.of("mongod") if node is not primary]
    others = [node for node in site.nodes if node.kind != "mongod"]
    for node in (*mongods, primary, *others):
        await node.stop()
        node.start()
        await site.whole()
    await callers.some(BETWEEN_SECONDS)
    _show(figures, "restarts", phase)
    return phase


def _host(site: Plant, primary: Node) -> list[Node]:
    """What a machine may have: the primary, and one of everything else."""
    return [primary, *(site.of(kind)[0] for kind in ("server", "worker", "envoy"))]


def _felt(phase: Phase) -> list[int]:
    return [len(phase.failed_changes), len(phase.again), len(phase.stale)]


def _show(figures: Figures, what: str, phase: Phase) -> None:
    figures.show(f"{what}: calls", f"{phase.calls.total()}, {dict(phase.calls)}")
    figures.show(f"{what}: calls a second", phase.rate)
    figures.show(f"{what}: reads asked once more", phase.again[:5] or 0)
    figures.show(f"{what}: reads that failed then, too", phase.failed_reads or 0)
    refused = Counter(each.partition(": ")[2][:60] for each in phase.failed_changes)
    figures.show(f"{what}: changes that failed", dict(refused) or 0)
    figures.show(f"{what}: stale reads", phase.stale[:5] or 0)
    figures.show(f"{what}: slowest call, seconds", phase.slowest)


@asynccontextmanager
async def _due_again(database: Database) -> AsyncIterator[None]:
    """While inside, connectors that have synced are due again soon."""
    over = asyncio.Event()

    async def again() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), DUE_AGAIN_SECONDS)
            with suppress(PyMongoError):  # no primary, as it is meant to be
                await database.collection(CONNECTORS).update_many(
                    {"sync.run": {"$exists": False}}, [{"$set": {"sync.dueAt": "$$NOW"}}]
                )

    task = asyncio.create_task(again())
    try:
        yield
    finally:
        over.set()  # not cancelled: the driver may lose that
        await task
