"""The lock of a session: acquired once for calls that follow each other, and not kept for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from server.platforms import session_lock
from server.platforms.base import Throttled
from server.platforms.session_lock import SessionLock


class Acquiring:
    """Notes when the lock is acquired against other processes, and when it is released."""

    def __init__(self) -> None:
        self.noted: list[str] = []
        self.refuses = False

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        if self.refuses:
            raise Throttled("Another call takes too long")
        self.noted.append("acquired")
        yield
        self.noted.append("released")


async def test_it_is_acquired_once_for_calls_that_follow_each_other() -> None:
    acquiring, lock = Acquiring(), asyncio.Lock()
    async with aclosing(SessionLock(lock, acquiring)) as held:
        assert acquiring.noted == []  # nobody has called yet
        for _ in range(3):
            async with held.call():
                assert lock.locked()
        assert acquiring.noted == ["acquired"]
    assert acquiring.noted == ["acquired", "released"]
    assert not lock.locked()


async def test_others_come_between_calls_that_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_lock, "KEPT_SECONDS", -1.0)
    lock = asyncio.Lock()
    order: list[str] = []

    async def other() -> None:
        async with aclosing(SessionLock(lock, None)) as held, held.call():
            order.append("other")

    async with aclosing(SessionLock(lock, None)) as held:
        async with held.call():
            waiting = asyncio.create_task(other())
            await asyncio.sleep(0)
            order.append("first")
        async with held.call():
            order.append("second")
    await waiting
    assert order == ["first", "other", "second"]


async def test_a_call_that_fails_leaves_nothing_locked() -> None:
    acquiring, lock = Acquiring(), asyncio.Lock()
    with pytest.raises(LookupError):
        async with aclosing(SessionLock(lock, acquiring)) as held, held.call():
            raise LookupError
    assert not lock.locked()
    acquiring.refuses = True
    with pytest.raises(Throttled):
        async with aclosing(SessionLock(lock, acquiring)) as held, held.call():
            pass
    assert not lock.locked()
