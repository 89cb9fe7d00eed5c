"""Logins, refreshes and lists of sessions, over few and over many users and sessions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import Any

from bench.client import CallFailed, Client
from bench.identity import people
from bench.identity.rows import ratio_row
from bench.identity.world import KEY, World

_CALLS = {"login": 3, "refresh": 30, "sessions": 30}
Times = dict[int, dict[str, list[float]]]


async def flat(worlds: Sequence[World], turns: int) -> dict[str, Any]:
    """One call after another, so that nothing but the size differs."""
    times: Times = {world.users: {name: [] for name in _CALLS} for world in worlds}
    for turn in range(-1, turns):  # the first one warms up
        for world in worlds:
            world.up.report(f"growth: turn {turn + 1} of {turns}, {world.users:,}")
            for name, taken in _turn(world).items():
                if turn >= 0:
                    times[world.users][name].append(taken)
    small, large = (worlds[0].users, worlds[-1].users)
    rows = [
        ratio_row(f"{name}, {large:,} over {small:,} users and sessions", times[large][name],
                  times[small][name], 1.3, 1.1, less=True)
        for name in _CALLS
    ]  # fmt: skip
    return {"ms": times, "rows": rows}


def _turn(world: World) -> dict[str, float]:
    """Medians in milliseconds."""
    with Client(world.port, x_api_key=KEY) as client:
        logins = []
        for _ in range(_CALLS["login"]):
            sent = {"username": next(world.names), "password": people.PASSWORD}
            logins.append(_taken(client, "POST", "/api/v1/auth/login", sent)[0])
        (held,) = world.sign_in([next(world.names)])
        refreshes = []
        for _ in range(_CALLS["refresh"]):
            sent = {"refreshToken": held}
            taken, reply = _taken(client, "POST", "/api/v1/auth/refresh", sent)
            refreshes.append(taken)
            held, token = reply["data"]["refreshToken"], reply["data"]["token"]
    with Client(world.port, authorization=f"Bearer {token}") as client:
        lists = [
            _taken(client, "GET", "/api/v1/auth/sessions")[0] for _ in range(_CALLS["sessions"])
        ]
    return {"login": median(logins), "refresh": median(refreshes), "sessions": median(lists)}


def _taken(client: Client, verb: str, path: str, body: object = None) -> tuple[float, Any]:
    """Milliseconds, and the reply. Raises CallFailed."""
    began = time.perf_counter()
    status, reply = client.call(verb, path, body)
    taken = (time.perf_counter() - began) * 1000
    if status != 200:
        raise CallFailed(f"{verb} {path}: {status} {reply}")
    return taken, reply
