"""Counts what becomes of connections and syncs, and adds it to the trends every few seconds.

Reporting to it never waits. A process that is killed takes the counts of its last
seconds along; one that ends in order adds them.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import uuid4

import structlog
from finlink_words import PLATFORMS

from server.core.clock import utc_now
from server.domains.connectors.model import HistoryEntry
from server.domains.connectors.trends.model import Counts, Minute, minute_of
from server.domains.connectors.trends.store import TrendStore
from server.observability.logging import cause_of
from server.storage.background import Background

_log = structlog.stdlib.get_logger("finlink.trends")

FLUSH_SECONDS = 5.0
_UNKNOWN = "INTERNAL"


class TrendRecorder:
    """One of a process. `start` it once; `stop` adds what is left."""

    def __init__(self, store: TrendStore) -> None:
        self._store = store
        self._worker = uuid4().hex
        self._counted: dict[tuple[datetime, str], Counts] = {}
        self._seen: tuple[datetime, Mapping[tuple[str, str], int]] | None = None
        # The batch that is being added. Where that fails it is added again as it is, so that nothing counts
        # twice.
        self._batch = 0
        self._adding: list[Minute] = []
        self._background = Background("add to trends", self.flush, FLUSH_SECONDS)
        self.start = self._background.start

    def begun(self, platform: str, at: datetime, late: timedelta | None) -> None:
        """A run began, so long after it was due; None for one that was not due at any time."""
        counts = self._counts(at, platform)
        counts.started += 1
        if late is not None:
            counts.timed += 1
            counts.late_seconds += late.total_seconds()
            counts.late_seconds_max = max(counts.late_seconds_max, late.total_seconds())

    def ended(self, platform: str, entry: HistoryEntry) -> None:
        """A run ended, by whichever worker's doing."""
        counts = self._counts(entry.synced_at, platform)
        if entry.status == "success":
            counts.succeeded += 1
        elif entry.status == "partial":
            counts.partial += 1
        else:
            counts.failures[entry.error_code or _UNKNOWN] += 1

    def connections(self, totals: Mapping[tuple[str, str], int]) -> None:
        """How many connectors there are now, by platform and status.

        It comes again and again; what is new is noted, and something in each minute.
        """
        now = utc_now()
        seen = (minute_of(now), totals)
        if seen == self._seen:
            return
        self._seen = seen
        for name in PLATFORMS:
            self._counts(now, name).connections = {
                status: count for (platform, status), count in totals.items() if platform == name
            }

    async def flush(self) -> None:
        """Add what was counted. Driver errors pass through; the next time adds it then."""
        if not self._adding:
            counted, self._counted = self._counted, {}
            self._adding = [Minute(at, name, counts) for (at, name), counts in counted.items()]
            self._batch += 1
        while self._adding:
            await self._store.add(self._adding[-1], self._worker, self._batch)
            self._adding.pop()

    async def stop(self) -> None:
        await self._background.stop()
        try:
            await self.flush()  # what an earlier one could not add
            await self.flush()
        except Exception as error:  # noqa: BLE001 - the process ends all the same
            _log.warning("trends not added", **cause_of(error))

    def _counts(self, moment: datetime, platform: str) -> Counts:
        return self._counted.setdefault((minute_of(moment), platform), Counts())
