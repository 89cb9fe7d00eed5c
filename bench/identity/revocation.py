"""How long an access token is taken after its session has ended."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench.identity.calls import access_token
from bench.identity.load import Http, http
from bench.identity.rows import figure_row
from bench.identity.world import World, finlink

_IN_A_ROW = 12  # refusals, so that each worker has been asked
_PATH = "/api/v1/auth/me"


async def until_refused(world: World, times: int) -> dict[str, Any]:
    """On the host where it ended, and on another that has the same database."""
    other = finlink(world.up, world.users, "finlink-elsewhere", WORKERS="1")
    await world.up.start([other])
    await world.up.settle()
    found: dict[str, list[float]] = {"here": [], "elsewhere": []}
    async with http(world.port) as here, http(other.rest_port or 0) as elsewhere:
        for number in range(times):
            if number % 10 == 0:
                world.up.report(f"revocation: {number} of {times}")
            for where, calls in (("here", here), ("elsewhere", elsewhere)):
                found[where].append(await _once(world, here, calls))
    await world.up.stop([other])
    rows = [
        figure_row("a token after logout, same host (median)", found["here"], 20, " ms"),
        figure_row("a token after logout, same host (longest)", [max(found["here"])], None, " ms"),
        figure_row("a token after logout, another host (longest)", [max(found["elsewhere"])], 2_000, " ms"),
    ]  # fmt: skip
    return {"ms": {where: sorted(each) for where, each in found.items()}, "rows": rows}


async def _once(world: World, here: Http, asked: Http) -> float:
    """Milliseconds from the reply to a logout until no worker takes the token any more."""
    (refresh_token,) = world.sign_in([next(world.names)])
    headers = {"authorization": f"Bearer {await access_token(here, refresh_token)}"}
    for _ in range(_IN_A_ROW):
        status, reply = await asked.call("GET", _PATH, headers=headers)
        assert status == 200, reply  # noqa: S101 - what is measured must be there
    await here.call("POST", "/api/v1/auth/logout", headers=headers)
    ended = last = time.perf_counter()
    refused = 0
    while refused < _IN_A_ROW:
        began = time.perf_counter()
        status, _ = await asked.call("GET", _PATH, headers=headers)
        refused = refused + 1 if status == 401 else 0
        if status == 200:
            last = began
        await asyncio.sleep(0)
    return round((last - ended) * 1000, 2)
