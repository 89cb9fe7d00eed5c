"""Counts into the tallies what has changed: one process at a time, a second behind at most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial

import structlog

from server.core.clock import utc_now
from server.observability.logging import cause_of
from server.storage.background import Background
from server.storage.claims import ClaimBusy, Claims
from server.storage.tallies import BATCH, Tallies, Values

_log = structlog.stdlib.get_logger("finlink.storage")

RECOUNT_EACH = timedelta(hours=1)  # what other programs removed is found so
TELL_SECONDS = 5.0  # how often totals are told where nothing changes, as far as this process sees


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
        """`seen` is told each collection's totals: what this process counted at once, all else soon."""
        self._tallies = tallies
        self._told_at: dict[str, float] = {}
        self._seen = seen
        self._claims = claims
        self._background = Background("fold tallies", self._fold_each)
        self.start = self._background.start
        self.stop = self._background.stop

    async def _fold_each(self) -> None:
        for tallies in self._tallies:
            try:
                await self.fold(tallies)
            except Exception as error:  # noqa: BLE001 - the others go on
                _log.warning("tally not folded", tally=tallies.name, **cause_of(error))

    async def fold(self, tallies: Tallies) -> None:
        """Count all that has changed, unless another process does."""
        # Not by the totals: of a database that was never counted, reading those may take too long.
        if has_waiting := await tallies.has_waiting():
            with suppress(ClaimBusy):
                async with self._claims.hold(f"tallies/{tallies.name}"):
                    await self._fold_all(tallies)
        now = asyncio.get_running_loop().time()
        told_at = self._told_at.get(tallies.name)
        if not has_waiting and told_at is not None and now < told_at + TELL_SECONDS:
            return
        _, recounted_at = await tallies.waiting(partial(self._seen, tallies.name))
        self._told_at[tallies.name] = now
        if recounted_at is None or utc_now() - recounted_at >= RECOUNT_EACH:
            with suppress(ClaimBusy):
                async with self._claims.hold(f"tallies/{tallies.name}"):
                    if wrong := await tallies.recount():
                        _log.warning("tally put right", tally=tallies.name, by=wrong)

    async def _fold_all(self, tallies: Tallies) -> None:
        now = asyncio.get_running_loop().time
        more = True
        while more and not self._background.stopping:
            began = now()
            more = await tallies.fold_some() >= BATCH
            if more:  # of a database that was never counted there is much: leave it room
                await self._background.pause((now() - began) / 2)
