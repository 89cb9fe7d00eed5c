"""All sections of `bench identity`, one after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from rich.console import Console

from bench import machine, session
from bench.cases import FINLINK
from bench.identity import calls, growth, mix, pairs, people, revocation, storm
from bench.identity.world import World, finlink
from bench.session import Session

SMALL = 1_000
SECTIONS = ("reads", "refresh", "storm", "pairs", "revocation", "mix", "growth")
_PAIRS = 200
_ENDINGS = 50
_WORKERS = 2
_MIX_SECONDS = 60


def run(
    users: int, turns: int, seconds: float, only: Sequence[str], console: Console
) -> dict[str, Any]:
    """Measure it. Exits with one line where something is missing."""
    wanted = [name for name in SECTIONS if not only or name in only]

    async def work() -> dict[str, Any]:
        async with session.running(console) as up:
            world = await _world(up, users, FINLINK, WORKERS=str(_WORKERS))
            found: dict[str, Any] = {}
            for name in wanted:
                found[name] = await _section(name, world, turns, seconds)
                for row in found[name]["rows"]:
                    up.report(f"{row['row']}: {row['median']}")
            memory = world.stack.memory_mb()
        return {
            "machine": machine.describe(),
            "users": users,
            "turns": turns,
            "sections": found,
            "memory_mb": {FINLINK: memory},
            "rows": [row for each in found.values() for row in each["rows"]],
        }

    return session.run(work)


async def _section(name: str, world: World, turns: int, seconds: float) -> dict[str, Any]:
    sections: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {
        "reads": lambda: calls.hot_reads(world, turns, seconds),
        "refresh": lambda: calls.refreshes(world, turns, seconds),
        "storm": lambda: _storm(world, turns),
        "pairs": lambda: pairs.known_and_unknown(world, _PAIRS),
        "revocation": lambda: revocation.until_refused(world, _ENDINGS),
        "mix": lambda: mix.thousand(world, _MIX_SECONDS),
        "growth": lambda: _growth(world, turns),
    }
    return await sections[name]()


async def _storm(world: World, turns: int) -> dict[str, Any]:
    beside = await storm.beside_load(world, turns)
    alone = await storm.alone(world, turns, _WORKERS)
    return {"beside": beside, "alone": alone, "rows": beside["rows"] + alone["rows"]}


async def _growth(world: World, turns: int) -> dict[str, Any]:
    """With another Finlink over few users, which takes turns with the one that is up."""
    if world.users == SMALL:
        raise SystemExit(f"bench: growth needs more than {SMALL:,} users")
    small = await _world(world.up, SMALL, "finlink-small", WORKERS=str(_WORKERS))
    return await growth.flat([small, world], turns)


async def _world(up: Session, users: int, name: str, **settings: str) -> World:
    await up.fill(users)
    stack = finlink(up, users, name, **settings)
    await up.start([stack])
    known = await people.known(up, users)
    people.ensure(up, users, known)
    await up.settle()
    return World(up, users, stack, known, people.unused_names(users, 1))
