"""Calls that take the same time whatever they find."""

from __future__ import annotations

import asyncio

import pytest

from server.core.same_time import SAME_TIME, takes_same_time


@takes_same_time
async def double(number: int) -> int:
    """Doubles."""
    if number < 0:
        raise ValueError("negative")
    return 2 * number


async def test_a_call_that_is_quick_takes_the_same_time() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await double(number=2) == 4
    assert loop.time() - began >= SAME_TIME.total_seconds() - 0.001


async def test_a_call_that_fails_takes_it_as_well() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(ValueError, match="negative"):
        await double(-1)
    assert loop.time() - began >= SAME_TIME.total_seconds() - 0.001


def test_it_is_still_the_same_call() -> None:
    assert double.__name__ == "double"
    assert double.__doc__ == "Doubles."
