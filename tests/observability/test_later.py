"""What is told a moment later is told, once, in order, and in nobody's name."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

from server.observability.later import Later

_caller: ContextVar[str] = ContextVar("caller", default="nobody")


async def test_in_order_and_once_a_moment_later() -> None:
    told: list[tuple[int, str]] = []
    done = asyncio.Event()

    def tell(number: int) -> None:
        told.append((number, _caller.get()))
        if len(told) == 3:
            done.set()

    later = Later(tell)
    _caller.set("ann")
    for number in range(3):
        later.add(number)
    assert told == []
    await done.wait()
    later.flush()
    assert told == [(0, "nobody"), (1, "nobody"), (2, "nobody")]


def test_at_once_where_no_event_loop_runs() -> None:
    told: list[int] = []
    Later(told.append).add(1)
    assert told == [1]


def test_nothing_is_lost_with_an_event_loop_that_ended() -> None:
    told: list[int] = []
    later = Later(told.append)

    async def add(number: int) -> None:
        later.add(number)

    for number in (1, 2):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(add(number))
        loop.close()
    later.flush()
    assert told == [1, 2]
