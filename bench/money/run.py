"""All sections of `bench money`, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from rich.console import Console

from bench import machine, session, syncs
from bench.cases import FINLINK
from bench.money import calls, categories, filling, posting, recounts, sizes, world, writers
from bench.money.shape import Size
from bench.money.world import World
from bench.rows import figure_row
from bench.session import Session

SECTIONS = ("sizes", "calls", "writers", "categories", "recount", "syncs")
_QUIET = 10.0  # per cent


def run(
    size: Size, turns: int, seconds: float, only: Sequence[str], console: Console
) -> dict[str, Any]:
    """Measure it. Exits with one line where something is missing."""
    wanted = [name for name in SECTIONS if not only or name in only]

    async def work() -> dict[str, Any]:
        busy = machine.busy()
        if busy > _QUIET:
            console.print(
                f"bench: other programs keep {busy:.0f} % of this machine busy", style="yellow"
            )
        async with session.running(console) as up:
            measured = await _world(up, size)
            found: dict[str, Any] = {}
            for name in wanted:
                found[name] = await _section(name, measured, turns, seconds)
                for row in found[name]["rows"]:
                    up.report(f"{row['row']}: {row['median']}{row.get('unit', '')}")
                await up.settle()
            memory = measured.stack.memory_mb()
        rows = [row for each in found.values() for row in each["rows"]]
        largest = figure_row("memory of a worker (PSS)", [max(memory)], 150, " MB", aim=110)
        return {
            "machine": machine.describe(),
            "others_percent": busy,
            "rows_of_others": size.rows,
            "rows_of_the_user": size.user_rows,
            "turns": turns,
            "sections": found,
            "memory_mb": {FINLINK: memory},
            "rows": [*rows, largest],
        }

    return session.run(work)


async def _section(name: str, measured: World, turns: int, seconds: float) -> dict[str, Any]:
    async def found_when_filled() -> dict[str, Any]:
        found = measured.marker["sizes"]
        return {"sizes": found, "rows": sizes.rows(found)}

    sections: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {
        "sizes": found_when_filled,
        "calls": lambda: asyncio.to_thread(calls.measure, measured, turns),
        "writers": lambda: writers.at_once(measured, turns, seconds),
        "categories": lambda: asyncio.to_thread(categories.deletions, measured, turns),
        "recount": lambda: asyncio.to_thread(recounts.recounts, measured, turns),
        "syncs": lambda: asyncio.to_thread(posting.syncs, measured, turns),
    }
    return await sections[name]()


async def _world(up: Session, size: Size) -> World:
    marker = await asyncio.to_thread(filling.ensure, up.uri, size, up.show_progress)
    stand_in = syncs.sandbox(posting.recorded())
    await up.supervisor.start([stand_in.spec])
    stack = world.finlink(up, size, stand_in.settings)
    await up.start([stack])
    await up.settle()
    return World(up, size, stack, marker, filling.day_of(marker))
