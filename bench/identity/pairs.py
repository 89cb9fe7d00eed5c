"""Whether it shows in the time of a reply that a name is known: pairs of calls, in turns."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from statistics import median
from typing import Any

from bench.client import CallFailed, Client
from bench.identity import people
from bench.identity.world import KEY, World

Body = dict[str, str]
Names = dict[str, str]  # "known", "unknown"
_WARM_UP = 5


async def known_and_unknown(world: World, wanted: int) -> dict[str, Any]:
    pairs = _WARM_UP + wanted
    phones = _phones(world, pairs)
    kinds: dict[str, tuple[str, Iterator[Names], Callable[[str], Body]]] = {
        "login": ("login", _addresses(world, "login"), _login),
        "forgot-password": ("forgot-password", _addresses(world, "forgot"), _email),
        "send-otp": ("send-otp", phones, _number),
    }
    rows, found = [], {}
    for kind, (path, names, body) in kinds.items():
        world.up.report(f"{kind}: {wanted} pairs of known and unknown names")
        taken = _taken(world, f"/api/v1/auth/{path}", islice(names, pairs), body)
        middle = {which: median(each[_WARM_UP:]) for which, each in taken.items()}
        found[kind] = {which: round(each, 3) for which, each in middle.items()}
        ratio = middle["unknown"] / middle["known"]
        rows.append(
            {
                "row": f"{kind}: medians of {wanted} pairs, unknown over known; 0.97 to 1.03",
                "median": round(ratio, 3), "low": ratio, "high": ratio,
                "turns": wanted, "at_least": None, "aim": None,
            }
        )  # fmt: skip
    return {"ms": found, "rows": rows}


def _taken(
    world: World, path: str, pairs: Iterator[Names], body: Callable[[str], Body]
) -> dict[str, list[float]]:
    """Milliseconds of each call."""
    draw = random.Random(len(path))  # noqa: S311 - no secret
    taken: dict[str, list[float]] = {"known": [], "unknown": []}
    statuses = set()
    with Client(world.port, x_api_key=KEY) as client:
        for names in pairs:
            for which in draw.sample(list(names), 2):  # neither always follows the other
                began = time.perf_counter()
                status, _ = client.call("POST", path, body(names[which]))
                taken[which].append((time.perf_counter() - began) * 1000)
                statuses.add(status)
    if len(statuses) > 1:
        raise CallFailed(f"POST {path}: {statuses}, which are to be one")
    return taken


def _addresses(world: World, kind: str) -> Iterator[Names]:
    for number in count():
        known, unknown = next(world.names), f"nobody_{kind}_{number}"
        yield {"known": f"{known}@example.com", "unknown": f"{unknown}@example.com"}


def _phones(world: World, pairs: int) -> Iterator[Names]:
    numbers = [f"+9198765{number:05}" for number in range(pairs)]
    people.give_phones(world.up, world.users, {next(world.names): each for each in numbers})
    return ({"known": each, "unknown": each.replace("+9198", "+9197")} for each in numbers)


def _login(email: str) -> Body:
    return {"email": email, "password": people.PASSWORD[:-1]}


def _email(email: str) -> Body:
    return {"email": email}


def _number(number: str) -> Body:
    return {"phoneNumber": number}
