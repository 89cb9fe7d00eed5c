"""What the user management must bear: a thousand calls a second with the tokens of 10,000 users."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from random import Random
from typing import Any

from bench import data, open_loop
from bench.identity import metrics
from bench.identity.calls import access_token
from bench.identity.load import http
from bench.identity.rows import figure_row
from bench.identity.world import World
from bench.open_loop import Request
from bench.stats import percentile
from server.core.principals import Role

USERS = 10_000
PER_SECOND = 1_000
_SHARES = {"get user": 70, "list": 10, "change": 8, "me": 7, "refresh": 5}
_WARM_UP_SECONDS = 60  # until most of the 10,000 have been read once by each worker
_SIGNING_IN = 64  # at once


async def thousand(world: World, seconds: int) -> dict[str, Any]:
    count = min(USERS, world.users)
    names = data.hot_ids(world.users)[:count]
    world.up.report(f"mixed load: {count:,} users sign in")
    held = await asyncio.to_thread(world.sign_in, names)
    (moderator,) = world.sign_in([names[0]], Role.MODERATOR)
    async with http(world.port) as calls:
        places = asyncio.Semaphore(_SIGNING_IN)

        async def token(refresh_token: str) -> str:
            async with places:
                return await access_token(calls, refresh_token)

        staff = await token(moderator)
        tokens = await asyncio.gather(*map(token, held))
    # Each of them is used once, so that no reply is needed to make the next request.
    spare = iter(await asyncio.to_thread(world.sign_in, names))
    users = list(zip(names, tokens, strict=True))
    await open_loop.send(
        world.port, _requests(_WARM_UP_SECONDS * PER_SECOND, users, staff, spare, 1), PER_SECOND
    )
    before = metrics.read(world.stack)
    world.up.report(f"mixed load: {PER_SECOND:,} calls a second for {seconds} s")
    began = time.perf_counter()
    outcomes = await open_loop.send(
        world.port, _requests(seconds * PER_SECOND, users, staff, spare, 2), PER_SECOND
    )
    taken = time.perf_counter() - began
    since = metrics.read(world.stack) - before
    every = [ms for outcome in outcomes.values() for ms in outcome.latency_ms]
    kinds = {
        kind: {
            "calls": len(outcome.latency_ms), "failed": outcome.failed,
            **{f"p{share}": round(percentile(outcome.latency_ms, share), 1) for share in (50, 95, 99)},
        }
        for kind, outcome in outcomes.items()
    }  # fmt: skip
    rows = [
        figure_row(f"{PER_SECOND:,} calls a second: p95", [percentile(every, 95)], 100, " ms"),
        figure_row("… p99", [percentile(every, 99)], 200, " ms"),
        figure_row("… replies a second", [len(every) / taken], PER_SECOND * 0.98, "", less=False),
        figure_row("… GETs that the cache answered", [since.hits_percent], 80, " %", less=False),
        figure_row("… commands to MongoDB, p95 (at most)", [since.command_ms(95)], 50, " ms"),
    ]  # fmt: skip
    return {"kinds": kinds, "rows": rows}


def _requests(
    count: int, users: list[tuple[str, str]], staff: str, spare: Iterator[str], seed: int
) -> Iterator[Request]:
    draw = Random(seed)  # noqa: S311 - no secret
    kinds = draw.choices(list(_SHARES), list(_SHARES.values()), k=count)
    for kind in kinds:
        name, token = users[int(len(users) ** draw.random()) - 1]
        mine, others = (f"authorization: Bearer {each}\r\n" for each in (token, staff))
        if kind == "get user":
            yield Request(kind, "GET", f"/api/v1/users/{name}", headers=mine)
        elif kind == "list":
            yield Request(kind, "GET", "/api/v1/users?limit=20", headers=others)
        elif kind == "change":
            body = json.dumps({"city": draw.choice(["Pune", "Delhi"])}).encode()
            yield Request(kind, "PATCH", f"/api/v1/users/{name}", body, mine)
        elif kind == "me":
            yield Request(kind, "GET", "/api/v1/auth/me", headers=mine)
        elif (refresh_token := next(spare, None)) is not None:
            body = json.dumps({"refreshToken": refresh_token}).encode()
            yield Request(kind, "POST", "/api/v1/auth/refresh", body)
