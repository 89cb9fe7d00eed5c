"""A pack of workers that are killed, frozen and stopped, and what their logs say they did."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from server.domains.connectors.connections.store import CONNECTORS
from server.storage.driver import Database
from tests.chaos.ground import Ground, Worker, worker

Kind = Literal["kill", "freeze", "stop"]
CLAIM_SECONDS = 15.0
# What a run may come to, as its worker logs it.
_BEGUN, _ENDS = (
    "sync started",
    ("sync finished", "sync deferred", "sync handed back", "sync lost its lease"),
)
_INSTANT = timedelta(milliseconds=50)
_TOLD_WITHIN = timedelta(seconds=2)  # after it has begun with a run, a worker has logged so


@dataclass
class Blow:
    kind: Kind
    at: datetime
    until: datetime | None = None  # when a frozen worker went on

    @property
    def frozen_seconds(self) -> float:
        return (self.until - self.at).total_seconds() if self.until else 0.0


@dataclass
class Life:
    """One process of the pack, from its start to its end."""

    worker: Worker
    ended: ExitStack
    blows: list[Blow] = field(default_factory=list)
    busy: bool = False  # somebody sees to it
    _read: int = 0  # bytes of the log
    _lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        return any(line["event"] == "worker serving" for line in self.lines())

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged so far; the last line may be cut short by its death."""
        size = self.worker.log.stat().st_size
        if size != self._read:
            text = self.worker.log.read_text(errors="replace")
            whole = [line for line in text.splitlines() if line.startswith("{")]
            self._lines = [json.loads(line) for line in whole if line.endswith("}")]
            self._read = size
        return self._lines

    def episodes(self) -> dict[str, list[tuple[datetime, datetime | None]]]:
        """By run: when this process began with it, and when it said to have done."""
        found: defaultdict[str, list[tuple[datetime, datetime | None]]] = defaultdict(list)
        for line in self.lines():
            sync_id, at = line.get("sync_id", ""), datetime.fromisoformat(line["timestamp"])
            if line["event"] == _BEGUN:
                found[sync_id].append((at, None))
            elif line["event"] in _ENDS and found[sync_id]:
                found[sync_id][-1] = (found[sync_id][-1][0], at)
        return found

    def faults(self) -> list[str]:
        """The causes of runs that failed for a reason of Finlink's own."""
        return [str(line) for line in self.lines() if line["event"] == "sync run failed"]

    def in_flight(self, at: datetime) -> list[str]:
        """The runs that this process was at work on."""
        return [
            sync_id
            for sync_id, episodes in self.episodes().items()
            if any(begun <= at and (done is None or done > at) for begun, done in episodes)
        ]


class Pack:
    def __init__(self, at: Ground, size: int, stack: ExitStack) -> None:
        self._at = replace(at, settings={**at.settings, "SYNC_CONCURRENCY": "20"})
        self._stack = stack
        self.lives: list[Life] = []
        self._up: list[Life] = [self._begin() for _ in range(size)]

    def _begin(self) -> Life:
        ended = self._stack.enter_context(ExitStack())
        process = ended.enter_context(worker(self._at, f"pack-{len(self.lives)}", "worker"))
        life = Life(process, ended)
        self.lives.append(life)
        return life

    def free(self) -> list[Life]:
        return [life for life in self._up if not life.busy]

    def blows(self, *kinds: Kind) -> list[tuple[Life, Blow]]:
        return [(life, blow) for life in self.lives for blow in life.blows if blow.kind in kinds]

    # -- what is done to one

    def kill(self, life: Life) -> Blow:
        """End it as a power cut does, and start another in its place."""
        blow = self._struck(life, "kill")
        life.worker.kill()
        self._up[self._up.index(life)] = self._begin()
        return blow

    def freeze(self, life: Life) -> Blow:
        life.busy = True
        blow = self._struck(life, "freeze")
        life.worker.freeze()
        return blow

    def thaw(self, life: Life) -> None:
        life.blows[-1].until = _now()
        life.worker.thaw()
        life.busy = False

    async def stop(self, life: Life) -> None:
        """Have it stop in order, and start another in its place."""
        life.busy = True
        self._struck(life, "stop")
        await asyncio.to_thread(life.ended.close)
        self._up[self._up.index(life)] = self._begin()

    def _struck(self, life: Life, kind: Kind) -> Blow:
        life.blows.append(Blow(kind, _now()))
        return life.blows[-1]

    async def lapse(self, database: Database) -> None:
        """As time does: end the claims that no worker keeps, without the wait for it."""
        connectors = database.collection(CONNECTORS)
        kept = [run for life in self.free() for run in life.in_flight(_now())]
        await connectors.update_many(
            {
                "sync.run.startedAt": {"$lte": _now() - _TOLD_WITHIN},
                "sync.run.syncId": {"$nin": kept},
                "sync.dueAt": {"$gt": _now()},
            },
            [{"$set": {"sync.dueAt": "$$NOW"}}],
        )

    # -- what is done to all

    async def torment(self, seconds: float, draw: random.Random) -> None:
        """Blow after blow at random; in the end all are up and none is frozen."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        async with asyncio.TaskGroup() as freezes:
            while loop.time() < end:
                await asyncio.sleep(draw.uniform(0.5, 5.0))
                kind = draw.choices(("kill", "freeze", "stop"), (10, 10, 2))[0]
                # Shorter than a claim lasts, and longer.
                frozen = draw.uniform(1.0, 2 * CLAIM_SECONDS)
                struck = draw.randrange(len(self._up))
                free = [life for life in self.free() if life.begun]
                if len(free) < 2:
                    continue  # somebody must take over
                life = free[struck % len(free)]
                if kind == "kill":
                    self.kill(life)
                elif kind == "stop":
                    freezes.create_task(self.stop(life))
                else:
                    freezes.create_task(self._freeze_for(life, frozen))

    async def _freeze_for(self, life: Life, seconds: float) -> None:
        self.freeze(life)
        await asyncio.sleep(seconds)
        self.thaw(life)

    def death_of(self, sync_id: str, claimed: datetime, ended: datetime) -> datetime | None:
        """When the worker of a claim died or froze, by its log; None where none did.

        A worker that died before it could log that it began is not told from the others.
        """
        owners = [life for life in self.lives if sync_id in life.episodes()] or self.lives
        times = [
            blow.at
            for life in owners
            for blow in life.blows
            if blow.kind != "stop"
            and claimed - _INSTANT <= (blow.until or ended)
            and blow.at <= ended
        ]
        return max(times, default=None)


@contextmanager
def pack(at: Ground, size: int) -> Iterator[Pack]:
    """So many workers; all that were started are gone at the end."""
    with ExitStack() as stack:
        started = Pack(at, size, stack)
        yield started


def _now() -> datetime:
    return datetime.now(UTC)


def figures_of(pack: Pack) -> Sequence[tuple[str, object]]:
    kills, freezes = pack.blows("kill"), pack.blows("freeze")
    longer = sum(blow.frozen_seconds > CLAIM_SECONDS for _, blow in freezes)
    return [
        ("kills", f"{len(kills)}, {_hits(kills)}"),
        ("freezes", f"{len(freezes)}, longer than a claim {longer}, {_hits(freezes)}"),
        ("stops in order", len(pack.blows("stop"))),
    ]


def _hits(blows: Sequence[tuple[Life, Blow]]) -> str:
    runs = [len(life.in_flight(blow.at)) for life, blow in blows]
    return f"with a run in flight {sum(map(bool, runs))}, runs hit {sum(runs)}"
