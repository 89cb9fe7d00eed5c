"""How many transactions a second several users create at once."""

from __future__ import annotations

from typing import Any

from bench.closed_loop import Http, Outcome, Step, closed_loop, http
from bench.identity.world import KEY
from bench.money.calls import Made
from bench.money.shape import user_id
from bench.money.world import World
from bench.rows import figure_row

WRITERS = 16
_FIRST = 3  # of those who write; the one before is called elsewhere


async def at_once(world: World, turns: int, seconds: float) -> dict[str, Any]:
    """Each waits for a reply before the next call. What they create stays."""
    writers = range(_FIRST, min(_FIRST + WRITERS, world.size.users))
    found: list[Outcome] = []
    async with http(world.port) as calls:
        steps = [_writer(world, calls, user) for user in writers]
        for turn in range(-1, turns):  # the first one warms up
            world.up.report(f"{len(steps)} users at once: turn {turn + 1} of {turns}")
            outcome = await closed_loop(steps, seconds, 201)
            if turn >= 0:
                found.append(outcome)
    title = f"creates a second, {len(steps)} users at once"
    row = figure_row(title, [round(each.rate, 1) for each in found], None, "", less=False)
    return {"turns": [each.as_dict() for each in found], "rows": [row]}


def _writer(world: World, calls: Http, user: int) -> Step:
    with world.client(user) as client:
        made = Made.of(client)
    headers = {"x-api-key": KEY, "x-on-behalf-of": user_id(user)}

    async def step() -> int:
        status, _ = await calls.call("POST", "/api/v1/transactions", made.new(), headers)
        return status

    return step
