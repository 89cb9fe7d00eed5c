"""Counts sessions and active users for the metrics, by one process at a time."""

import time
from datetime import timedelta

from server.core.clock import Clock
from server.domains.identity.sessions import metrics
from server.domains.identity.sessions.store import SessionStore
from server.storage.leases import LeaseBusy, Leases

COUNT_SECONDS = 10.0  # between two counts, at least
_LEASE = "count sessions"
# A process counts for a hundredth of its time at most: a million sessions take seconds.
_PAUSES = 100
# A session is kept for a day after its end, so of longer ago there are fewer than there were.
DAYS = (1, 7, 30)


class ActivityCount:
    def __init__(self, store: SessionStore, leases: Leases, clock: Clock) -> None:
        self._store = store
        self._leases = leases
        self._clock = clock
        self._due = 0.0

    async def count(self) -> None:
        """Count, unless the last time was so long that it is too soon, or another process counts."""
        began = time.monotonic()
        if began < self._due:
            return
        windows = [timedelta(days=days) for days in DAYS]
        try:
            async with self._leases.acquire(_LEASE):
                found = await self._store.activity(self._clock.now(), windows)
        except LeaseBusy:
            return
        ended = time.monotonic()
        self._due = ended + _PAUSES * (ended - began)
        for kind, count in found.sessions.items():
            metrics.LIVE.labels(kind).set(count)
        for days, count in zip(DAYS, found.users, strict=True):
            metrics.ACTIVE_USERS.labels(str(days)).set(count)
