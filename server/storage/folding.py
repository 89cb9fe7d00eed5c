"""Counts into the tallies what has changed: one process at a time, a second behind at most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial

import structlog

from server.clock import utc_now
from server.observability.logging import cause_of
from server.storage.claims import ClaimBusy, Claims
from server.storage.tallies import BATCH, Tallies, Values

_log = structlog.stdlib.get_logger("finlink.storage")

PAUSE_SECONDS = 1.0
STOP_SECONDS = 5.0
RECOUNT_EACH = timedelta(hours=1)  # what other programs removed is found so


class Folder:
    """`start` it once; `stop` lets a batch that is under way finish.

    Tallies are right without it, and cost the more to read the longer none runs.
    """

    def __init__(
        self,
        tallies: Sequence[Tallies],
        claims: Claims,
        seen: Callable[[str, Mapping[Values, int]], None] = lambda *_: None,
    ) -> None:
        """`seen` is told each collection's totals, each second."""
        self._tallies = tallies
        self._seen = seen
        self._claims = claims
        self._stopping = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._loop = asyncio.create_task(self._fold_forever())

    async def stop(self) -> None:
        self._stopping.set()
        if self._loop is not None:
            _, late = await asyncio.wait({self._loop}, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()

    async def _fold_forever(self) -> None:
        while not self._stopping.is_set():
            for tallies in self._tallies:
                try:
                    await self.fold(tallies)
                except Exception as error:  # noqa: BLE001 - whatever it was, the next round may work
                    _log.warning("tally not folded", tally=tallies.name, **cause_of(error))
            await self._pause(PAUSE_SECONDS)

    async def fold(self, tallies: Tallies) -> None:
        """Count all that has changed, unless another process does."""
        # Not by the totals: of a database that was never counted, reading those may take too long.
        if await tallies.has_waiting():
            with suppress(ClaimBusy):
                async with self._claims.hold(f"tallies/{tallies.name}"):
                    await self._fold_all(tallies)
        _, recounted_at = await tallies.waiting(partial(self._seen, tallies.name))
        if recounted_at is None or utc_now() - recounted_at >= RECOUNT_EACH:
            with suppress(ClaimBusy):
                async with self._claims.hold(f"tallies/{tallies.name}"):
                    if wrong := await tallies.recount():
                        _log.warning("tally put right", tally=tallies.name, by=wrong)

    async def _fold_all(self, tallies: Tallies) -> None:
        now = asyncio.get_running_loop().time
        more = True
        while more and not self._stopping.is_set():
            began = now()
            more = await tallies.fold_some() >= BATCH
            if more:  # of a database that was never counted there is much: leave it room
                await self._pause((now() - began) / 2)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
