"""Waiting for what another task or process does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

SECONDS = 60.0  # never reached unless something is broken


async def eventually(probe: Callable[[], Awaitable[T | None]], what: str = "it") -> T:
    """The first reply of `probe` that is true."""
    last: T | None = None
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                last = await probe()
                if last:
                    return last
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited in vain for {what}; last: {last!r}") from None
