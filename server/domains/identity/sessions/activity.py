"""Counts sessions and active users for the metrics, by one process at a time."""

from datetime import timedelta
from time import monotonic

from server.core.clock import Clock
from server.domains.identity.sessions import metrics
from server.domains.identity.sessions.dependencies import LastSeen
from server.domains.identity.sessions.store import SessionStore
from server.storage.leases import LeaseBusy, Leases

COUNT_SECONDS = 10.0  # between two counts, at least
_LEASE = "count sessions"
# A process counts for a fiftieth of its time at most: a million sessions take seconds.
_PAUSES = 50
DAYS = (1, 7, 30)


class ActivityCount:
    def __init__(
        self, store: SessionStore, last_seen: LastSeen, leases: Leases, clock: Clock
    ) -> None:
        self._store = store
        self._last_seen = last_seen
        self._leases = leases
        self._clock = clock
        self._due = 0.0

    async def count(self) -> None:
        """Count, unless the last time was so long that it is too soon, or another process counts."""
        if monotonic() < self._due:
            return
        try:
            async with self._leases.acquire(_LEASE):
                began = monotonic()
                try:
                    await self._count()
                finally:  # also where it took too long
                    ended = monotonic()
                    self._due = ended + _PAUSES * (ended - began)
        except LeaseBusy:
            return

    async def _count(self) -> None:
        now = self._clock.now()
        for kind, count in (await self._store.count_live(now)).items():
            metrics.LIVE.labels(kind).set(count)
        users = await self._last_seen.count_seen([now - timedelta(days=days) for days in DAYS])
        for days, count in zip(DAYS, users, strict=True):
            metrics.ACTIVE_USERS.labels(str(days)).set(count)
