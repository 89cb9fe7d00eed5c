"""A turn of a session: taken once for calls that follow each other, and not kept from others for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from server.platforms import turns
from server.platforms.base import Throttled
from server.platforms.turns import Turn


class Taking:
    """Notes when the turn is taken from other processes, and when it is given up."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.refuses = False

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        if self.refuses:
            raise Throttled("Another call takes too long")
        self.said.append("taken")
        yield
        self.said.append("given up")


async def test_it_is_taken_once_for_calls_that_follow_each_other() -> None:
    taking, lock = Taking(), asyncio.Lock()
    async with Turn(lock, taking) as turn:
        assert taking.said == []  # nobody has called yet
        for _ in range(3):
            async with turn.call():
                assert lock.locked()
        assert taking.said == ["taken"]
    assert taking.said == ["taken", "given up"]
    assert not lock.locked()


async def test_others_come_between_calls_that_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "KEPT_SECONDS", -1.0)
    lock = asyncio.Lock()
    order: list[str] = []

    async def other() -> None:
        async with Turn(lock, None) as turn, turn.call():
            order.append("other")

    async with Turn(lock, None) as turn:
        async with turn.call():
            waiting = asyncio.create_task(other())
            await asyncio.sleep(0)
            order.append("first")
        async with turn.call():
            order.append("second")
    await waiting
    assert order == ["first", "other", "second"]


async def test_a_call_that_fails_leaves_nothing_held() -> None:
    taking, lock = Taking(), asyncio.Lock()
    with pytest.raises(LookupError):
        async with Turn(lock, taking) as turn, turn.call():
            raise LookupError
    assert not lock.locked()
    taking.refuses = True
    with pytest.raises(Throttled):
        async with Turn(lock, taking) as turn, turn.call():
            pass
    assert not lock.locked()
