"""Counts sessions and active users for the metrics, every ten minutes, by one process at a time."""

from datetime import timedelta

from server.core.clock import Clock
from server.domains.identity.sessions import metrics
from server.domains.identity.sessions.store import SessionStore
from server.storage.leases import LeaseBusy, Leases

COUNT_SECONDS = 600.0  # between two counts
_LEASE = "count sessions"
# A session is kept for a day after its end, so of longer ago there are fewer than there were.
DAYS = (1, 7, 30)


class ActivityCount:
    def __init__(self, store: SessionStore, leases: Leases, clock: Clock) -> None:
        self._store = store
        self._leases = leases
        self._clock = clock

    async def count(self) -> None:
        """Reads all sessions of the last 30 days: half a second for 100,000."""
        windows = [timedelta(days=days) for days in DAYS]
        try:
            async with self._leases.acquire(_LEASE):
                found = await self._store.activity(self._clock.now(), windows)
        except LeaseBusy:
            return
        for kind, count in found.sessions.items():
            metrics.LIVE.labels(kind).set(count)
        for days, count in zip(DAYS, found.users, strict=True):
            metrics.ACTIVE_USERS.labels(str(days)).set(count)
