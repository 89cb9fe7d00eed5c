"""How syncs are, for people who run Finlink: whether workers take what is due, and platforms reply."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from server.core.clock import Clock
from server.core.health import Finding, behind
from server.domains.connectors.sync.store import SyncStore
from server.domains.connectors.trends.store import TrendStore

_WINDOW = timedelta(minutes=10)
_DOWN = "PLATFORM_UNAVAILABLE"


@dataclass(frozen=True)
class SyncHealth:
    _syncs: SyncStore
    _trends: TrendStore
    _clock: Clock

    async def jobs(self) -> Finding:
        due = await self._syncs.due_since()
        lag = timedelta(0) if due is None else self._clock.now() - due
        return behind(
            lag,
            "A sync that is due waits for a worker",
            degraded=timedelta(seconds=30),
            failing=timedelta(seconds=120),
        )

    async def platforms(self) -> Finding:
        """A platform that is down is its own failure, so Finlink is not failing because of it."""
        ended: Counter[str] = Counter()
        down: Counter[str] = Counter()
        for minute in await self._trends.since(self._clock.now() - _WINDOW):
            counts = minute.counts
            ended[minute.platform] += counts.succeeded + counts.partial + counts.failed
            down[minute.platform] += counts.failures[_DOWN]
        wrong = [
            f"{name} did not reply to {count} of {ended[name]} syncs in 10 minutes"
            for name, count in sorted(down.items())
            if count * 2 > ended[name]
        ]
        return Finding("degraded", message="; ".join(wrong)) if wrong else Finding()
