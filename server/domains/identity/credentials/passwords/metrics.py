"""Metrics of the work on passwords."""

from prometheus_client import Counter, Gauge, Histogram

WORK = Histogram(
    "finlink_password_work_seconds",
    "Duration of work on passwords in its thread, by kind: verify, hash, or score (of a new password)",
    ["kind"],
    buckets=(0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
WAITING = Gauge(
    "finlink_password_calls_waiting",
    "Calls that wait for work on passwords, by device: known (it has signed in before) or unknown",
    ["device"],
    multiprocess_mode="livesum",
)
REJECTED = Counter(
    "finlink_password_calls_rejected",
    "Calls that were rejected because they would have waited too long, by device: known or unknown",
    ["device"],
)


def show_zeros() -> None:
    """Give each series its zero, so that Prometheus sees its first event as a rise."""
    for kind in ("verify", "hash", "score"):
        WORK.labels(kind)
    for device in ("known", "unknown"):
        WAITING.labels(device)
        REJECTED.labels(device)
