"""Turn by turn, each contestant for a few seconds: disturbances of the machine affect all of them equally."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench import grpc_load, wrk
from bench.cases import FINLINK, ROWS, Case, Entrant, Row
from bench.stacks import Stack, processor_seconds
from bench.stats import Ratio, ratio
from bench.writer import Writer, Written
from bench.wrk import Load, Order, Slice

Told = Callable[[str], object]
_LEAD_IN_SECONDS = 1.0
_FIRST_WRITES = 10.0  # a second, until the first turn has shown how many reads there are


@dataclass
class Measured:
    """All turns of a case, by entrant."""

    case: Case
    turns: dict[str, list[Slice]] = field(default_factory=dict)

    def ratio(self, row: Row) -> Ratio | None:
        """Finlink over the row's other; None where one of them was left out."""
        ours, theirs = self.turns.get(FINLINK), self.turns.get(row.over)
        if not ours or not theirs:
            return None
        return ratio(
            [getattr(s, row.figure) for s in ours], [getattr(s, row.figure) for s in theirs]
        )

    def as_dict(self) -> dict[str, Any]:
        slices = {name: [each.as_dict() for each in turns] for name, turns in self.turns.items()}
        rows = []
        for row in ROWS:
            found = self.ratio(row) if row.case == self.case.name else None
            if found is not None:
                bounds = {"at_least": row.at_least, "aim": row.aim}
                less = {"less": True} if row.less_is_better else {}
                rows.append({"row": row.title, **found.as_dict(), **bounds, **less})
        return {"case": self.case.name, "title": self.case.title, "slices": slices, "rows": rows}


class Turns:
    """Sends the cases' loads to the stacks that run."""

    def __init__(
        self,
        stacks: Mapping[str, Stack],
        mongod_pid: int | None,
        users: int,
        hot: int,
        report: Told,
    ) -> None:
        self._stacks = stacks
        self._mongod_pid = mongod_pid
        self._users = users
        self._hot = hot
        self._report = report
        self._seed = int(time.time())  # new users have to be new in each run

    async def measure(self, case: Case, turns: int, seconds: float) -> Measured:
        """Round robin over the entrants whose stack runs, another one first each turn."""
        entrants = [entrant for entrant in case.entrants if entrant.stack in self._stacks]
        result = Measured(case, {entrant.name: [] for entrant in entrants})
        for entrant in entrants:
            self._report(f"{case.name}: warming up {entrant.name}")
            if case.sweep and entrant.caches_responses:
                await self._send(case, entrant, case.sweep, self._next_seed(), "sweep")
            await self._send(case, entrant, case.warm_up, self._next_seed())
        for turn in range(turns):
            first = turn % len(entrants)
            for entrant in entrants[first:] + entrants[:first]:
                self._report(f"{case.name}: turn {turn + 1} of {turns}, {entrant.name}")
                before = result.turns[entrant.name]
                writes = before[-1].rate / 100 if before else _FIRST_WRITES
                before.append(await self._turn(case, entrant, seconds, writes))
        return result

    async def _turn(self, case: Case, entrant: Entrant, seconds: float, writes: float) -> Slice:
        """One slice, with so many writes a second beside; the no-op has them as well."""
        seed = self._next_seed()
        stack = self._stacks[entrant.stack]
        if case.sweep:
            # Others have written to the hot set since its last turn.
            await self._send(case, entrant, _LEAD_IN_SECONDS, self._next_seed())
        writer = None
        if case.writes and stack.rest_port is not None:
            writer = Writer(stack.rest_port, self._users, max(1.0, writes), seed)
            writer.start()
        pids = (stack.process.pid if stack.process else None, self._mongod_pid)
        used = [processor_seconds(pid) for pid in pids]
        try:
            found = await self._send(case, entrant, seconds, seed)
        finally:
            written = writer.stop() if writer else Written()
        own, mongod = (
            (processor_seconds(pid) - before) * 1e6 / max(1, found.requests)
            for pid, before in zip(pids, used, strict=True)
        )
        found.cpu_us, found.mongod_us = round(own, 1), round(mongod, 1)
        found.writes, found.stale = written.writes, written.stale
        found.failed += written.failed
        return found

    async def _send(
        self, case: Case, entrant: Entrant, seconds: float, seed: int, order: Order = "drawn"
    ) -> Slice:
        stack = self._stacks[entrant.stack]
        load = Load(
            entrant.path,
            self._users,
            self._hot,
            seconds=seconds,
            order=order,
            headers=entrant.headers,
        )
        if case.grpc:
            return await grpc_load.run(stack.grpc_port or 0, entrant.path, load, seed)
        return await wrk.run(stack.rest_port or 0, load, seed)

    def _next_seed(self) -> int:
        self._seed += 1
        return self._seed
