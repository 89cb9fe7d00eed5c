"""`bench overhead`: what logs, metrics and traces cost, as a share of the throughput."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from bench import data, machine, measure, session, sink, stacks
from bench.cases import FINLINK, Case, Entrant
from bench.measure import Measured
from bench.stacks import Stack
from bench.stats import ratio

_SILENT, _TRACED = "silent", "traced"
_LABELS = {
    FINLINK: "logs and metrics",
    _SILENT: "neither",
    _TRACED: "logs, metrics, and traces of 1 %",
}


def _case(name: str, title: str, sweep: float) -> Case:
    entrants = tuple(Entrant(stack, stack, name, caches_responses=True) for stack in _LABELS)
    return Case(name, title, entrants, warm_up=4.0, sweep=sweep)


CASES = (
    _case("hot-user", "REST GET user, hot set", 14.0),
    _case("uniform-user", "REST GET user, uniform over all users", 0.0),
)
# Who over whom, and what it should be.
_ROWS = (
    (FINLINK, _SILENT, "with logs and metrics over neither", 0.90),
    (_TRACED, FINLINK, "with traces of 1 % over none", 0.95),
)


def run(users: int, turns: int, seconds: float, console: Console) -> dict[str, Any]:
    """Measure all of it, in turns. Exits with one line where something is missing."""

    async def work() -> dict[str, Any]:
        with sink.listening() as endpoint:
            async with session.running(console) as up:
                await up.fill(users)
                database = data.database_name(users)
                traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "TRACE_PERCENT": "1"}
                made = [
                    stacks.finlink(FINLINK, up.uri, database),
                    stacks.finlink(_SILENT, up.uri, database, BENCH_SILENT="1"),
                    stacks.finlink(_TRACED, up.uri, database, **traced),
                ]
                await up.start(made)
                await up.settle()
                running: dict[str, Stack] = {stack.name: stack for stack in made}
                mongod = up.supervisor.processes[0].pid
                each = measure.Turns(running, mongod, users, data.HOT, up.report)
                found = [await each.measure(case, turns, seconds) for case in CASES]
                memory = {name: stack.memory_mb() for name, stack in running.items()}
        return {
            "machine": machine.describe(),
            "users": users,
            "turns": turns,
            "seconds": seconds,
            "labels": _LABELS,
            "cases": [one.as_dict() | {"rows": _rows(one)} for one in found],
            "rows": [row for one in found for row in _rows(one)],
            "memory_mb": memory,
        }

    return session.run(work)


def _rows(found: Measured) -> list[dict[str, Any]]:
    rates = {name: [turn.rate for turn in turns] for name, turns in found.turns.items()}
    return [
        {
            "row": f"{found.case.title}: {title}",
            **ratio(rates[ours], rates[theirs]).as_dict(),
            "at_least": at_least,
            "aim": 1.0,
        }
        for ours, theirs, title, at_least in _ROWS
    ]
