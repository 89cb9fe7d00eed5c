"""Reports to Prometheus how long syncs wait: lateness is reported by runs that begin, so not if none does."""

from server.core.clock import utc_now
from server.domains.connectors import metrics
from server.domains.connectors.sync.store import SyncStore
from server.storage.background import Background

LOOK_SECONDS = 5.0


class Overdue:
    """Looks again and again, in every process, so that one is left to report if there is no worker.

    `start` it once; `stop` ends it.
    """

    def __init__(self, syncs: SyncStore) -> None:
        self._syncs = syncs
        background = Background("look for overdue syncs", self.look, LOOK_SECONDS)
        self.start = background.start
        self.stop = background.stop

    async def look(self) -> None:
        since = await self._syncs.due_since()
        waited = (utc_now() - since).total_seconds() if since else 0.0
        metrics.SYNC_OVERDUE.set(max(0.0, waited))
