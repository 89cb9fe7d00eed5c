"""`bench growth`: the same calls over a thousand and over a million users and connectors, in turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from random import Random
from statistics import median
from typing import Any

from rich.console import Console

from bench import data, machine, session, stacks, syncs
from bench.client import CallFailed, Client
from bench.session import Session
from bench.stacks import Stack
from bench.stats import ratio

SIZES = (1_000, 10_000, 100_000, 1_000_000)
DEEP_PAGE = 10_000
_LIMIT = 20  # users a page, so that a million has page 10,000
_CALLS = {"status": 20, "get user": 60, "page 1": 20, "deep page": 20}
_SYNC_TURNS = 3  # at most: there are many cases
# By size and call: a median in milliseconds a turn, None where it failed.
Times = dict[str, dict[str, list[float | None]]]
# By case and size: what each turn brought.
Runs = dict[str, dict[str, list[dict[str, float]]]]


def run(sizes: Sequence[int], turns: int, seconds: float, console: Console) -> dict[str, Any]:
    """Measure all of it. Exits with one line where something is missing."""

    async def work() -> dict[str, Any]:
        async with session.running(console) as up:
            return await _measure(up, sorted(sizes), turns, seconds)

    return session.run(work)


async def _measure(up: Session, sizes: Sequence[int], turns: int, seconds: float) -> dict[str, Any]:
    for users in sizes:
        await up.fill(users)
    stand_in = syncs.sandbox()
    await up.supervisor.start([stand_in.spec])
    # One worker each: what it can do is asked for, and several Finlinks stand side by side.
    running = {
        users: stacks.finlink(
            f"finlink-{users}", up.uri, data.database_name(users), WORKERS="1", **stand_in.settings
        )
        for users in sizes
    }
    await up.start(list(running.values()))
    await up.settle()
    times: Times = {str(users): {} for users in sizes}
    await asyncio.to_thread(_calls, up, running, turns, times)
    ends = (sizes[0], sizes[-1])
    runs = await _syncs(up, {users: running[users] for users in ends}, turns, seconds)
    return {
        "machine": machine.describe(),
        "turns": turns,
        "times_ms": times,
        "syncs": runs,
        "rows": [row for row in _rows(times, runs, ends) if row is not None],
        "memory_mb": {str(users): stack.memory_mb() for users, stack in running.items()},
    }


def _calls(up: Session, running: Mapping[int, Stack], turns: int, times: Times) -> None:
    """One call after another, so that nothing but the size differs."""
    draw = Random(1)  # noqa: S311 - no secret
    paths = {users: _paths(up, stack, users, draw) for users, stack in running.items()}
    for turn in range(-1, turns):  # the first one warms up
        for users, stack in running.items():
            up.report(f"growth: turn {turn + 1} of {turns}, {users:,}")
            with Client(stack.rest_port or 0) as client:
                for name, path in paths[users].items():
                    taken = _taken(up, client, path, name)
                    if turn >= 0:
                        times[str(users)].setdefault(name, []).append(taken)


def _taken(up: Session, client: Client, path: Callable[[], str], name: str) -> float | None:
    try:
        return round(median(client.timed(path()) for _ in range(_CALLS[name])), 3)
    except CallFailed as error:
        up.console.print(f"bench: {error}", style="yellow")
        return None


def _paths(up: Session, stack: Stack, users: int, draw: Random) -> dict[str, Callable[[], str]]:
    first = f"/api/v1/users?limit={_LIMIT}"
    paths: dict[str, Callable[[], str]] = {
        "status": lambda: "/api/v1/connectors/status",
        "get user": lambda: f"/api/v1/users/{data.PREFIX}{draw.randrange(users)}",
        "page 1": lambda: first,
    }
    deep = min(DEEP_PAGE, users // _LIMIT)
    try:
        with Client(stack.rest_port or 0) as client:
            before = client.get(f"{first}&page={deep - 1}")
    except CallFailed as error:
        up.console.print(f"bench: {users:,}: no token of page {deep:,}: {error}", style="yellow")
    else:
        token = before["pagination"]["nextPageToken"]
        paths["deep page"] = lambda: f"{first}&pageToken={token}"
    return paths


async def _syncs(up: Session, running: Mapping[int, Stack], turns: int, seconds: float) -> Runs:
    found: Runs = {case.title: {str(users): [] for users in running} for case in syncs.CASES}
    for users, stack in running.items():
        up.report(f"growth: connecting {data.SYNCING} users among {users:,}")
        await asyncio.to_thread(syncs.connect, stack)
    turns = min(turns, _SYNC_TURNS)
    for turn in range(turns):
        for case, (users, stack) in product(syncs.CASES, running.items()):
            up.report(f"growth: syncs of {case.title}, turn {turn + 1} of {turns}, {users:,}")
            measured = await syncs.measure(up.uri, users, stack, case, seconds)
            found[case.title][str(users)].append(
                {
                    "rate": round(measured.rate, 1),
                    "per_cpu_second": round(measured.per_cpu_second, 1),
                    "failed": measured.failed,
                }
            )
    return found


def _rows(times: Times, runs: Runs, ends: tuple[int, int]) -> list[dict[str, Any] | None]:
    small, large = (str(size) for size in ends)
    rates: dict[str, dict[str, list[float | None]]] = {
        case: {size: [turn["rate"] for turn in turns] for size, turns in sizes.items()}
        for case, sizes in runs.items()
    }
    span = f"{ends[1]:,} over {ends[0]:,}"
    return [
        _row(f"/connectors/status, {span} connectors", times[large].get("status"),
             times[small].get("status"), 1.5, 1.1),
        _row("/connectors/status, milliseconds", times[large].get("status"), None, 20, 20, " ms"),
        _row(f"list by token, page {DEEP_PAGE:,} over page 1", times[large].get("deep page"),
             times[large].get("page 1"), 1.2, 1.05),
        _row(f"GET user, {span} users", times[large].get("get user"),
             times[small].get("get user"), None, None),
        *(_row(f"syncs a second of a worker: {case}", sizes[large], None, 150, 300, less=False)
          for case, sizes in rates.items()),
        *(_row(f"a sync, {span} connectors: {case}", sizes[small], sizes[large], 1.3, 1.1)
          for case, sizes in rates.items()),
    ]  # fmt: skip


def _row(
    title: str, ours: Sequence[float | None] | None, theirs: Sequence[float | None] | None,
    at_most: float | None, aim: float | None, unit: str = "", *, less: bool = True,
) -> dict[str, Any] | None:  # fmt: skip
    """How many times as long, or the figure itself; a median of None if that is unknown.

    None where it was not measured.
    """
    if not ours:
        return None
    others = [1.0] * len(ours) if theirs is None else theirs
    bounds = {"at_least": at_most, "aim": aim, "less": less, "unit": unit}
    pairs = [(a, b) for a, b in zip(ours, others, strict=False) if a is not None and b is not None]
    if not pairs:
        return {"row": title, "median": None, "low": None, "high": None, "turns": 0, **bounds}
    found = ratio([one for one, _ in pairs], [other for _, other in pairs])
    return {"row": title, **found.as_dict(), **bounds}
