"""Trying again what MongoDB did not do."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from server.storage.errors import translate

T = TypeVar("T")

PAUSE_SECONDS = 0.5


async def persistently(work: Callable[[], Awaitable[T]]) -> T:
    """The result of `work`, once MongoDB replies; other errors pass through.

    For a run that has its lease: it need not fail because a primary steps down or what it writes
    is locked for a moment. It is cancelled with its lease, so this ends. An error may hide that the
    work was done: it must be safe to repeat.
    """
    while True:
        try:
            return await work()
        except Exception as error:
            if translate(error) is None:
                raise
        await asyncio.sleep(PAUSE_SECONDS)
