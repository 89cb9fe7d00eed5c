"""Turn by turn, each contestant for a few seconds: what the machine does meanwhile meets all alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench import grpc_load, wrk
from bench.cases import FINLINK, ROWS, Case, Entrant, Row
from bench.stacks import Stack
from bench.stats import Ratio, ratio
from bench.writer import Writer
from bench.wrk import Load, Slice

Told = Callable[[str], object]
_FIRST_WRITES = 10.0  # a second, until the first turn has told how many reads there are
_WARM_UP_SECONDS = 2.0


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


async def measure(
    case: Case,
    stacks: Mapping[str, Stack],
    users: int,
    hot: int,
    turns: int,
    seconds: float,
    tell: Told,
) -> Measured:
    """Round robin over the entrants whose stack runs, another one first each turn."""
    entrants = [entrant for entrant in case.entrants if entrant.stack in stacks]
    result = Measured(case, {entrant.name: [] for entrant in entrants})
    seed = 1
    for entrant in entrants:
        tell(f"{case.name}: warming up {entrant.name}")
        seed += 1
        load = Load(entrant.path, users, hot, seconds=_WARM_UP_SECONDS)
        await _send(case, entrant, stacks, load, seed)
    for turn in range(turns):
        first = turn % len(entrants)
        for entrant in entrants[first:] + entrants[:first]:
            seed += 1
            before = result.turns[entrant.name]
            tell(f"{case.name}: turn {turn + 1} of {turns}, {entrant.name}")
            load = Load(entrant.path, users, hot, seconds=seconds)
            writes = before[-1].rate / 100 if before else _FIRST_WRITES
            writer = _writer(case, entrant, stacks, users, writes, seed)
            try:
                found = await _send(case, entrant, stacks, load, seed)
            finally:
                written = writer.stop() if writer else None
            if written is not None:
                found.writes, found.stale = written.writes, written.stale
                found.failed += written.failed
            before.append(found)
    return result


def _writer(
    case: Case, entrant: Entrant, stacks: Mapping[str, Stack], users: int, rate: float, seed: int
) -> Writer | None:
    """Started; the no-op has it as well, so that both stand the same writes."""
    port = stacks[entrant.stack].rest_port
    if not case.writes or port is None:
        return None
    writer = Writer(port, users, max(1.0, rate), seed)
    writer.start()
    return writer


async def _send(
    case: Case, entrant: Entrant, stacks: Mapping[str, Stack], load: Load, seed: int
) -> Slice:
    stack = stacks[entrant.stack]
    if case.grpc:
        return await grpc_load.run(stack.grpc_port or 0, entrant.path, load, seed)
    return await wrk.run(stack.rest_port or 0, load, seed)
