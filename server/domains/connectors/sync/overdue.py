"""Reports to Prometheus how long syncs wait: lateness is reported by runs that begin, so not if none does."""

from server.core.clock import utc_now
from server.domains.connectors import metrics
from server.domains.connectors.sync.store import SyncStore

LOOK_SECONDS = 5.0  # in every process, so that one is left to report if there is no worker


async def report_overdue(syncs: SyncStore) -> None:
    since = await syncs.due_since()
    waited = (utc_now() - since).total_seconds() if since else 0.0
    metrics.SYNC_OVERDUE.set(max(0.0, waited))
