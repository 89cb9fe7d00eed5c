"""`bench run`: every case, Finlink and its peers beside each other on one database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rich.console import Console

from bench import agreement, data, install, machine, measure, session, stacks, tools
from bench.cases import FINLINK, NOOP, Case
from bench.session import Session
from bench.stacks import Stack

_QUIET = 10.0  # per cent


@dataclass(frozen=True)
class Plan:
    cases: list[Case]
    entrants: set[str]  # empty for all
    turns: int
    seconds: int
    users: int

    def wanted(self) -> list[Case]:
        """The cases with the entrants that were asked for; Finlink is always one."""
        kept = self.entrants | {FINLINK}
        return [
            replace(
                case,
                entrants=tuple(e for e in case.entrants if not self.entrants or e.name in kept),
            )
            for case in self.cases
        ]


def run(plan: Plan, console: Console) -> dict[str, Any]:
    """Measure all of it. Exits with one line where something is missing."""

    async def work() -> dict[str, Any]:
        _check_tools(plan)
        async with session.running(console) as up:
            busy = machine.busy()
            if busy > _QUIET:
                up.console.print(
                    f"bench: other programs keep {busy:.0f} % of this machine busy, which favours "
                    "whoever has more processes: do not trust these figures",
                    style="yellow",
                )
            await up.fill(plan.users)
            running = await _start(up, plan)
            return {**await _measure(up, plan, running), "others_percent": busy}

    return session.run(work)


def _check_tools(plan: Plan) -> None:
    generators = {"h2load" if case.grpc else "wrk" for case in plan.cases}
    tools.check(*sorted(generators))


async def _start(up: Session, plan: Plan) -> dict[str, Stack]:
    """Every stack that the cases need and this machine can run, by name."""
    names = {entrant.stack for case in plan.wanted() for entrant in case.entrants}
    database = data.database_name(plan.users)
    made = [stacks.finlink(FINLINK, up.uri, database)]
    kinds: tuple[tuple[str, Callable[[], None], Callable[[int], Stack]], ...] = (
        ("express", install.express, partial(stacks.express, up.uri, database)),
        ("fastapi", install.fastapi, partial(stacks.fastapi, up.uri, database)),
        ("grpc", install.grpc_go, lambda _: stacks.grpc_go(up.uri, database)),
    )
    for kind, installed, start in kinds:
        wanted = sorted(name for name in names if name.partition("-")[0] == kind)
        if not wanted:
            continue
        up.report(f"installing {kind}")
        try:
            await asyncio.to_thread(installed)
        except tools.MissingTool as missing:
            up.console.print(f"bench: without {', '.join(wanted)}: {missing}", style="yellow")
            continue
        made += [start(2 if name.endswith("-2") else 1) for name in wanted]
    await up.start(made)
    running = {stack.name: stack for stack in made}
    up.report("comparing their replies")
    for complaint in await asyncio.to_thread(agreement.check, running):
        up.console.print(f"bench: {complaint}", style="yellow")
    await agreement.check_grpc(running)
    await up.settle()
    return running


async def _measure(up: Session, plan: Plan, running: dict[str, Stack]) -> dict[str, Any]:
    mongod = up.supervisor.processes[0].pid
    each = measure.Turns(running, mongod, plan.users, data.HOT, up.report)
    measured = [await each.measure(case, plan.turns, float(plan.seconds)) for case in plan.wanted()]
    found = [one.as_dict() for one in measured]
    return {
        "machine": machine.describe(),
        "users": plan.users,
        "turns": plan.turns,
        "seconds": plan.seconds,
        "labels": {name: stack.label for name, stack in running.items()} | {NOOP: "no-op RPC"},
        "cases": found,
        "rows": [row for case in found for row in case["rows"]],
        "memory_mb": {name: stack.memory_mb() for name, stack in running.items()},
    }
