"""Counts into the counters what has changed: one process at a time, a second behind at most."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial

import structlog

from server.core.clock import utc_now
from server.observability.logging import cause_of
from server.storage.background import Background
from server.storage.counter_spec import Values
from server.storage.counters import BATCH, Counters
from server.storage.leases import LeaseBusy, Leases

_log = structlog.stdlib.get_logger("finlink.storage")

RECOUNT_EACH = timedelta(hours=1)  # what other programs removed is found so
REPORT_SECONDS = (
    5.0  # how often totals are reported where nothing changes, as far as this process sees
)


class CounterRollup:
    """`start` it once; `stop` lets a batch that is under way finish.

    Counters are right without it, and cost the more to read the longer none runs.
    """

    def __init__(
        self,
        counters: Sequence[Counters],
        leases: Leases,
        report: Callable[[str, Mapping[Values, int]], None] = lambda *_: None,
    ) -> None:
        """`report` gets each collection's totals: at once what this process counted, all else soon."""
        self._counters = counters
        self._reported_at: dict[str, float] = {}
        self._report = report
        self._leases = leases
        self._background = Background("roll up counters", self._roll_up_each)
        self.start = self._background.start
        self.stop = self._background.stop

    async def _roll_up_each(self) -> None:
        for counters in self._counters:
            try:
                await self.roll_up(counters)
            except Exception as error:  # noqa: BLE001 - the others go on
                _log.warning("counters not rolled up", counters=counters.name, **cause_of(error))

    async def roll_up(self, counters: Counters) -> None:
        """Count all that has changed, unless another process does."""
        # Not by the totals: of a database that was never counted, reading those may take too long.
        if has_waiting := await counters.has_waiting():
            with suppress(LeaseBusy):
                async with self._leases.acquire(f"tallies/{counters.name}"):
                    await self._roll_up_all(counters)
        now = asyncio.get_running_loop().time()
        reported_at = self._reported_at.get(counters.name)
        if not has_waiting and reported_at is not None and now < reported_at + REPORT_SECONDS:
            return
        _, recounted_at = await counters.waiting(partial(self._report, counters.name))
        self._reported_at[counters.name] = now
        if recounted_at is None or utc_now() - recounted_at >= RECOUNT_EACH:
            with suppress(LeaseBusy):
                async with self._leases.acquire(f"tallies/{counters.name}"):
                    if wrong := await counters.recount():
                        _log.warning("counters corrected", counters=counters.name, by=wrong)

    async def _roll_up_all(self, counters: Counters) -> None:
        now = asyncio.get_running_loop().time
        more = True
        while more and not self._background.stopping:
            began = now()
            more = await counters.roll_up_some() >= BATCH
            if more:  # a database that was never counted has many: leave it time
                await self._background.pause((now() - began) / 2)
