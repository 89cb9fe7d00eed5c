"""The metrics of users."""

from collections import Counter
from collections.abc import Mapping

from prometheus_client import Gauge

USERS = Gauge("finlink_users", "Users by status", ["status"], multiprocess_mode="mostrecent")


def report(totals: Mapping[tuple[str | None], int]) -> None:
    """A user without a status counts as active."""
    counts: Counter[str] = Counter()
    for (status,), count in totals.items():
        counts[status or "active"] += count
    for status, count in counts.items():
        USERS.labels(status).set(count)
