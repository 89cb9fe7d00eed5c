"""Reports runs to the log, Prometheus and the trends."""

from datetime import timedelta
from typing import Any

import structlog

from server.core.clock import utc_now
from server.domains.connectors import metrics
from server.domains.connectors.model import Connector, HistoryEntry, Run
from server.domains.connectors.sync.store import SyncStore
from server.domains.connectors.trends.recorder import TrendRecorder

_log = structlog.stdlib.get_logger("finlink.sync")

OVERDUE_SECONDS = 5.0  # in every process, so that one is left to report if there is no worker


class RunReporter:
    """Reports one run. Each line has its connector, platform and sync."""

    def __init__(self, connector: Connector, run: Run | None, trends: TrendRecorder) -> None:
        self._connector = connector
        self._trends = trends
        self._platform = connector.platform
        self.log = _log.bind(connector_id=connector.id, platform=connector.platform)
        if run is not None:
            self.log = self.log.bind(sync_id=run.sync_id)

    def begun(self, run: Run) -> None:
        self.log.info("sync started", data_types=list(run.data_types))
        due = self._connector.sync.next_at
        if run.started_at is None:
            return
        late = None if due is None else max(timedelta(0), run.started_at - due)
        if late is not None:
            metrics.SYNC_LATENESS.labels(self._platform).observe(late.total_seconds())
        if run.began_at == run.started_at:  # it does not go on after a pause
            self._trends.begun(self._platform, run.started_at, late)

    def ended(self, entry: HistoryEntry) -> None:
        facts: dict[str, Any] = {
            "status": entry.status, "records": entry.records_count, "added": entry.added_count,
        }  # fmt: skip
        if entry.status == "success":
            self.log.info("sync finished", **facts)
        else:
            missing = {each.data_type: each.code for each in entry.missing}
            if missing:
                facts["missing"] = missing
            self.log.warning(
                "sync finished", **facts, code=entry.error_code, cause=entry.error_message
            )
        self._count(entry)

    def deferred(self, wait: timedelta, cause: str) -> None:
        self.log.info("sync deferred", seconds=round(wait.total_seconds(), 1), cause=cause)
        metrics.SYNCS_DEFERRED.labels(self._platform).inc()

    def abandoned(self, entry: HistoryEntry) -> None:
        """By another worker, which has died."""
        self.log.warning(
            "sync abandoned",
            sync_id=entry.sync_id,
            code=entry.error_code,
            cause=entry.error_message,
        )
        metrics.SYNCS_ABANDONED.labels(self._platform).inc()
        self._count(entry)

    def lost(self) -> None:
        self.log.warning("sync lost its lease")
        metrics.LEASES_LOST.labels(self._platform).inc()

    def _count(self, entry: HistoryEntry) -> None:
        took = entry.synced_at - (entry.started_at or entry.synced_at)
        runs = metrics.SYNC_RUNS.labels(self._platform, entry.status, entry.error_code or "")
        runs.observe(max(0.0, took.total_seconds()))
        self._trends.ended(self._platform, entry)


async def report_overdue(syncs: SyncStore) -> None:
    """How long syncs wait: lateness is reported by runs that begin, so not if none does."""
    since = await syncs.due_since()
    waited = (utc_now() - since).total_seconds() if since else 0.0
    metrics.SYNC_OVERDUE.set(max(0.0, waited))
