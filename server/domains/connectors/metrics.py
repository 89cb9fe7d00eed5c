"""Metrics of connectors: connections, logins, syncs."""

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

from server.domains.connectors.errors import InvalidCredentials, PlatformNotAvailable
from server.observability.metrics import LONG_SECONDS, SUSPICIOUS

CONNECTORS = Gauge(
    "finlink_connectors",
    "Connectors by platform and status",
    ["platform", "status"],
    multiprocess_mode="mostrecent",
)
FAILING = Gauge(
    "finlink_connectors_failing",
    "Connectors whose syncs fail, by platform; they are counted under their status, too",
    ["platform"],
    multiprocess_mode="mostrecent",
)
CONNECTS = Counter(
    "finlink_connects",
    "Attempts to connect, by platform and outcome: connected, login_required, or an error code",
    ["platform", "outcome"],
)
REFUSED_LOGINS = Counter(
    "finlink_refused_logins", "Logins that a platform refused, by platform", ["platform"]
)
THROTTLED_LOGINS = Counter(
    "finlink_throttled_logins",
    "Times that a user's logins at a platform were stopped for 15 minutes",
    ["platform"],
)
SYNC_RUNS = Histogram(
    "finlink_sync_run_seconds",
    "Duration of sync runs from their first start, by platform, status (success, partial, failed) and "
    "error code",
    ["platform", "status", "code"],
    buckets=LONG_SECONDS,
)
SYNC_LATENESS = Histogram(
    "finlink_sync_lateness_seconds",
    "How long after its scheduled time a run began; 0 if it was requested sooner",
    ["platform"],
    buckets=LONG_SECONDS,
)
SYNC_OVERDUE = Gauge(
    "finlink_sync_overdue_seconds",
    "How long the run that is most overdue has waited for a worker; 0 if none is due",
    multiprocess_mode="mostrecent",
)
SYNCS_RUNNING = Gauge(
    "finlink_syncs_running", "Runs that workers have a lease of", multiprocess_mode="livesum"
)
SYNCS_DEFERRED = Counter(
    "finlink_syncs_deferred", "Times that a run was deferred by a platform's limits", ["platform"]
)
SYNCS_ABANDONED = Counter(
    "finlink_syncs_abandoned", "Runs that were left by a worker that died", ["platform"]
)
LEASES_LOST = Counter(
    "finlink_sync_leases_lost", "Runs whose worker found its lease taken or ended", ["platform"]
)
_BY_PLATFORM = (
    REFUSED_LOGINS, THROTTLED_LOGINS, SYNC_LATENESS, SYNCS_DEFERRED, SYNCS_ABANDONED, LEASES_LOST,
)  # fmt: skip


def show_zeros(platforms: Iterable[str], failures: Iterable[str], suspicion: str) -> None:
    """Give each series its zero: Prometheus sees no rise in a series that begins with its first event,
    so that no alert would fire for it. `failures` are the codes that a failed run may have."""
    SUSPICIOUS.labels(suspicion)
    refused = (InvalidCredentials.code, PlatformNotAvailable.code)
    for platform in platforms:
        for outcome in ("connected", "login_required", *refused):
            CONNECTS.labels(platform, outcome)
        for status, code in (("success", ""), *(("failed", code) for code in failures)):
            SYNC_RUNS.labels(platform, status, code)
        for metric in _BY_PLATFORM:
            metric.labels(platform)
