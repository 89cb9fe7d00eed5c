"""Metrics of posting."""

from prometheus_client import Counter, Gauge

ROWS = Counter(
    "finlink_posting_rows",
    "Rows of connectors by what became of them: posted, taken_over (typed or imported before), changed "
    "(withdrawn, or linked again), or skipped (without a day, or of nothing)",
    ["outcome"],
)
FAILURES = Counter(
    "finlink_posting_failures", "Connectors whose posting failed for a reason of Finlink's own"
)
LAG = Gauge(
    "finlink_posting_lag_seconds",
    "For how long the connector that has waited longest has had rows that are not posted",
    multiprocess_mode="mostrecent",
)


def show_zeros() -> None:
    """Give each series its zero: Prometheus sees no rise in a series that begins with its first event."""
    for outcome in ("posted", "taken_over", "changed", "skipped"):
        ROWS.labels(outcome)
