"""Calls that take the same time whatever they find, so that nobody learns from it which names are known."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Well over what the work takes, and less than anybody notices.
SAME_TIME = timedelta(milliseconds=50)


def takes_same_time(call: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """The same call, which ends no sooner than SAME_TIME after it began, also where it fails.

    The work must be much the same all the same: under load it may take longer than this.
    """

    @wraps(call)
    async def timed(*args: P.args, **named: P.kwargs) -> T:
        end = asyncio.get_running_loop().time() + SAME_TIME.total_seconds()
        try:
            return await call(*args, **named)
        finally:
            await asyncio.sleep(max(0.0, end - asyncio.get_running_loop().time()))

    return timed
