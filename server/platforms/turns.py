"""The turn of a session at a platform that wants its calls one after another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Self, TypeAlias

# Holds the turn of a session, by an opaque name of it, against all processes. Raises
# PlatformUnavailable where it does not come.
Turns: TypeAlias = Callable[[str], AbstractAsyncContextManager[None]]

# A call that ends later than this after the turn was taken gives it up, for others who wait.
KEPT_SECONDS = 1.0


class Turn:
    """Somebody's turn of a session, for several calls that follow each other.

    It is taken with the first, and kept between them: taking it costs more than a quick call. It is given
    up on leaving, at the latest.
    """

    def __init__(
        self, lock: asyncio.Lock, take: Callable[[], AbstractAsyncContextManager[None]] | None
    ) -> None:
        """`lock`: of the session in this process, so that it does not compete with itself.

        `take` holds it against other processes; without it, there are none.
        """
        self._lock = lock
        self._take = take
        self._held: AsyncExitStack | None = None
        self._since = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._give_up()

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Around each call."""
        now = asyncio.get_running_loop().time
        if self._held is None:
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(self._lock)
                if self._take is not None:
                    await stack.enter_async_context(self._take())
                self._held, self._since = stack.pop_all(), now()
        try:
            yield
        finally:
            if now() - self._since > KEPT_SECONDS:
                await self._give_up()

    async def _give_up(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            await held.aclose()
