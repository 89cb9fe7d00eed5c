"""The lock of a session at a platform that wants its calls one after another."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeAlias

# Locks a session, by an opaque name of it, against all processes. Raises PlatformUnavailable if the lock
# cannot be had.
SessionLocks: TypeAlias = Callable[[str], AbstractAsyncContextManager[None]]

# The lock is released after a call that ends later than this after it was acquired, for others who wait.
KEPT_SECONDS = 1.0


class SessionLock:
    """The lock of a session, for several calls that follow each other.

    It is acquired with the first, and kept between them: acquiring it costs more than a quick call. It is
    released by `aclose`, at the latest.
    """

    def __init__(
        self, local: asyncio.Lock, acquire: Callable[[], AbstractAsyncContextManager[None]] | None
    ) -> None:
        """`local`: of the session in this process, so that it does not compete with itself.

        `acquire` locks it against other processes; without it, there are none.
        """
        self._local = local
        self._acquire = acquire
        self._acquired: AsyncExitStack | None = None
        self._since = 0.0

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        now = asyncio.get_running_loop().time
        if self._acquired is None:
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(self._local)
                if self._acquire is not None:
                    await stack.enter_async_context(self._acquire())
                self._acquired, self._since = stack.pop_all(), now()
        try:
            yield
        finally:
            if now() - self._since > KEPT_SECONDS:
                await self.aclose()

    async def aclose(self) -> None:
        acquired, self._acquired = self._acquired, None
        if acquired is not None:
            await acquired.aclose()
