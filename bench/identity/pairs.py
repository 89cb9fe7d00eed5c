"""Whether it shows in the time of a reply that a name is known: pairs of calls, in turns."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from bench.client import Client
from bench.identity import people
from bench.identity.world import KEY, World

Body = dict[str, str]
_WARM_UP = 5


async def known_and_unknown(world: World, count: int) -> dict[str, Any]:
    kinds: dict[str, tuple[str, Callable[[str], Body]]] = {
        "login": (
            "login",
            lambda name: {"email": _address(name), "password": people.PASSWORD[:-1]},
        ),
        "forgot-password": ("forgot-password", lambda name: {"email": _address(name)}),
    }
    draw = random.Random(count)  # noqa: S311 - no secret
    rows, found = [], {}
    for kind, (path, body) in kinds.items():
        world.up.report(f"{kind}: {count} pairs of known and unknown names")
        taken: dict[str, list[float]] = {"known": [], "unknown": []}
        with Client(world.port, x_api_key=KEY) as client:
            for number in range(-_WARM_UP, count):
                names = {"known": next(world.names), "unknown": f"nobody_{kind}_{number}"}
                for which in draw.sample(list(names), 2):  # neither always follows the other
                    began = time.perf_counter()
                    client.call("POST", f"/api/v1/auth/{path}", body(names[which]))
                    if number >= 0:
                        taken[which].append((time.perf_counter() - began) * 1000)
        middle = {which: median(each) for which, each in taken.items()}
        found[kind] = {which: round(each, 3) for which, each in middle.items()}
        rows.append(
            {
                "row": f"{kind}: medians of {count} pairs, unknown over known; 0.97 to 1.03",
                "median": round(middle["unknown"] / middle["known"], 3),
                "low": middle["unknown"] / middle["known"],
                "high": middle["unknown"] / middle["known"],
                "turns": count, "at_least": None, "aim": None,
            }
        )  # fmt: skip
    return {"ms": found, "rows": rows}


def _address(name: str) -> str:
    return f"{name}@example.com"
