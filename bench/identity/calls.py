"""Calls with a token beside calls with a key, and refreshes beside reads that no cache answers."""

from __future__ import annotations

from random import Random
from typing import Any

from bench import data
from bench.cases import FINLINK, Case, Entrant
from bench.identity.load import Http, Outcome, Step, closed_loop, http
from bench.identity.rows import ratio_row
from bench.identity.world import KEY, World
from bench.measure import Turns
from server.core.principals import Role

_CLIENTS = 32
_BY_KEY, _BY_TOKEN = "key", "token"


async def hot_reads(world: World, turns: int, seconds: float) -> dict[str, Any]:
    """GET user, hot, with an API key and with the token of a moderator."""
    (refresh_token,) = world.sign_in([data.hot_ids(world.users)[0]], Role.MODERATOR)
    async with http(world.port) as calls:
        token = await access_token(calls, refresh_token)
    sent = {_BY_KEY: f"x-api-key: {KEY}", _BY_TOKEN: f"authorization: Bearer {token}"}
    entrants = tuple(
        Entrant(name, FINLINK, "hot-user", caches_responses=True, headers=(header,))
        for name, header in sent.items()
    )
    case = Case("hot-user-token", "REST GET user, hot set", entrants, warm_up=3.0, sweep=10.0)
    each = Turns({FINLINK: world.stack}, world.mongod_pid, world.users, data.HOT, world.up.report)
    found = await each.measure(case, turns, seconds)
    rates = {name: [one.rate for one in slices] for name, slices in found.turns.items()}
    row = ratio_row(
        "GET user, hot: with a token over a key", rates[_BY_TOKEN], rates[_BY_KEY], 0.97, 1
    )
    return {**found.as_dict(), "rows": [row]}


async def refreshes(world: World, turns: int, seconds: float) -> dict[str, Any]:
    """Refreshes by 32 clients, in turns with reads of users that are in no cache."""
    names = [next(world.names) for _ in range(_CLIENTS)]
    tokens = world.sign_in(names)
    draw = Random(turns)  # noqa: S311 - no secret
    found: dict[str, list[Outcome]] = {"refresh": [], "cold GET": []}
    async with http(world.port) as calls:
        holders = [_refresher(calls, token) for token in tokens]
        readers = [_cold_reader(calls, world.users, draw) for _ in names]
        for turn in range(turns):
            world.up.report(f"refresh: turn {turn + 1} of {turns}")
            found["cold GET"].append(await closed_loop(readers, seconds))
            found["refresh"].append(await closed_loop(holders, seconds))
    rates = {name: [one.rate for one in each] for name, each in found.items()}
    row = ratio_row(
        "refreshes over cold GETs of users", rates["refresh"], rates["cold GET"], 0.6, 1
    )
    shown = {name: [one.as_dict() for one in each] for name, each in found.items()}
    return {"turns": shown, "rows": [row]}


async def access_token(calls: Http, refresh_token: str) -> str:
    _, reply = await calls.call("POST", "/api/v1/auth/refresh", {"refreshToken": refresh_token})
    token: str = reply["data"]["token"]
    return token


def _refresher(calls: Http, token: str) -> Step:
    held = [token]

    async def step() -> int:
        sent = {"refreshToken": held[0]}
        status, reply = await calls.call("POST", "/api/v1/auth/refresh", sent)
        if status == 200:
            held[0] = reply["data"]["refreshToken"]
        return status

    return step


def _cold_reader(calls: Http, users: int, draw: Random) -> Step:
    async def step() -> int:
        path = f"/api/v1/users/{data.PREFIX}{draw.randrange(users)}"
        status, _ = await calls.call("GET", path, headers={"x-api-key": KEY})
        return status

    return step
