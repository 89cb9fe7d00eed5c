"""Items of a deferred batch are processed once, in order, and in no caller's context."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

from server.observability.deferred_batch import DeferredBatch

_caller: ContextVar[str] = ContextVar("caller", default="nobody")


async def test_items_are_processed_once_and_in_order() -> None:
    processed: list[tuple[int, str]] = []
    done = asyncio.Event()

    def process(number: int) -> None:
        processed.append((number, _caller.get()))
        if len(processed) == 3:
            done.set()

    batch = DeferredBatch(process)
    _caller.set("ann")
    for number in range(3):
        batch.add(number)
    assert processed == []
    await done.wait()
    batch.flush()
    assert processed == [(0, "nobody"), (1, "nobody"), (2, "nobody")]


def test_without_an_event_loop_an_item_is_processed_at_once() -> None:
    processed: list[int] = []
    DeferredBatch(processed.append).add(1)
    assert processed == [1]


def test_nothing_is_lost_with_an_event_loop_that_ended() -> None:
    processed: list[int] = []
    batch = DeferredBatch(processed.append)

    async def add(number: int) -> None:
        batch.add(number)

    for number in (1, 2):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(add(number))
        loop.close()
    batch.flush()
    assert processed == [1, 2]
