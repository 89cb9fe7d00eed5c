"""A storm of logins beside full load, and alone."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from random import Random
from typing import Any

import bcrypt

from bench import data, wrk
from bench.identity import people
from bench.identity.load import Http, Outcome, http
from bench.identity.rows import figure_row, ratio_row
from bench.identity.world import KEY, World
from bench.wrk import Load

_AT_ONCE = 200
_SECONDS = 8.0
_LOGIN = "/api/v1/auth/login"
_HASHES = 10  # in one thread, to see how long one takes


async def beside_load(world: World, turns: int) -> dict[str, Any]:
    """Hot GETs with and without 200 who sign in again and again; who gets 503 waits as it is told."""
    alone, beside, logins, gaps = [], [], Outcome(), []
    async with http(world.port) as calls:
        for turn in range(turns):
            world.up.report(f"logins beside load: turn {turn + 1} of {turns}")
            alone.append(await wrk.run(world.port, _load(world), turn))
            storm = asyncio.create_task(_storm(calls, world, _AT_ONCE, _SECONDS, logins))
            beside.append(await wrk.run(world.port, _load(world), 100 + turn))
            gaps.append(await storm)
    refused = [ms for ms in logins.latency_ms if ms > 5_500]
    rows = [
        ratio_row("hot GETs during 200 logins at once", [one.rate for one in beside],
                  [one.rate for one in alone], 0.8, 1),
        ratio_row("… their p99", [one.p99 for one in beside], [one.p99 for one in alone], 2, 1.5, less=True),
        figure_row("longest time without a login that succeeds, under that load", gaps, 5, " s"),
    ]  # fmt: skip
    figures = {"logins": logins.as_dict(), "replies over 5.5 s": len(refused)}
    slices = {
        name: [one.as_dict() for one in each]
        for name, each in (("alone", alone), ("beside", beside))
    }
    return {"figures": figures, "slices": slices, "rows": rows}


async def alone(world: World, turns: int, threads: int) -> dict[str, Any]:
    """Logins a second, in turns with what bcrypt alone does in as many threads."""
    rates, bare = [], []
    async with http(world.port) as calls:
        for turn in range(turns):
            world.up.report(f"logins alone: turn {turn + 1} of {turns}")
            outcome = Outcome()
            await _storm(calls, world, 8 * threads, _SECONDS, outcome)
            rates.append(outcome.statuses.get(200, 0) / outcome.seconds)
            bare.append(await asyncio.to_thread(_bcrypt_rate, threads))
    row = ratio_row("logins a second over bcrypt alone in as many threads", rates, bare, 0.9, 1)
    return {"logins_per_s": rates, "bcrypt_per_s": bare, "rows": [row]}


def _load(world: World) -> Load:
    headers = (f"x-api-key: {KEY}",)
    return Load("hot-user", world.users, data.HOT, seconds=_SECONDS, headers=headers)


async def _storm(
    calls: Http, world: World, clients: int, seconds: float, outcome: Outcome
) -> float:
    """So many sign in until the time is over; gives the longest time without a success."""
    draw = Random(clients)  # noqa: S311 - no secret
    began = time.perf_counter()
    succeeded = [began]

    async def client() -> None:
        while time.perf_counter() - began < seconds:
            at = time.perf_counter()
            sent = {"username": next(world.names), "password": people.PASSWORD}
            status, _, wait = await calls.call_with_wait("POST", _LOGIN, sent, {"x-api-key": KEY})
            outcome.add(status, at)
            now = time.perf_counter()
            if status == 200:
                succeeded.append(now)
            else:
                # Spread a little, as clients do: they would come back all at one moment.
                pause = (wait or 1.0) * draw.uniform(1, 1.5)
                await asyncio.sleep(max(0.0, min(pause, began + seconds - now)))

    await asyncio.gather(*(client() for _ in range(clients)))
    ended = time.perf_counter()
    outcome.seconds += ended - began
    return round(max(b - a for a, b in pairwise([*succeeded, ended])), 2)


def _bcrypt_rate(threads: int) -> float:
    """Checks a second of bcrypt with nothing else, at the cost that Finlink has."""
    hashed = bcrypt.gensalt(people.ROUNDS) + b"." * 31
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: bcrypt.checkpw(b"x" * 64, hashed), range(_HASHES * threads)))
    return _HASHES * threads / (time.perf_counter() - began)
