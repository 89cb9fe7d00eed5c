"""Work that a server does beside its calls, again and again."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from server.observability.logging import cause_of

_log = structlog.stdlib.get_logger("finlink.storage")

PAUSE_SECONDS = 1.0
STOP_SECONDS = 5.0
LATE_SECONDS = 3.0  # for work that was cancelled


class Background:
    """Does `work`, `pause` seconds after it has done it last, or at once while that returns True.

    `start` it once; `stop` lets it finish.
    """

    def __init__(
        self, name: str, work: Callable[[], Awaitable[object]], pause: float = PAUSE_SECONDS
    ) -> None:
        self._name = name
        self._work = work
        self._pause = pause
        self._stop = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    @property
    def stopping(self) -> bool:
        """Work that takes long looks at this between two of its parts."""
        return self._stop.is_set()

    def start(self) -> None:
        self._loop = asyncio.create_task(self._work_on())

    async def stop(self, grace: float = STOP_SECONDS) -> None:
        self._stop.set()
        if self._loop is not None:
            _, late = await asyncio.wait({self._loop}, timeout=max(grace, STOP_SECONDS))
            if late:
                self._loop.cancel()
                await asyncio.wait(late, timeout=LATE_SECONDS)

    async def pause(self, seconds: float) -> None:
        """Ends at once where all is to stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def _work_on(self) -> None:
        while not self.stopping:
            try:
                while await self._work() is True and not self.stopping:
                    pass
            except Exception as error:  # noqa: BLE001 - whatever it was, the next round may work
                _log.warning("background work failed", work=self._name, **cause_of(error))
            await self.pause(self._pause)
