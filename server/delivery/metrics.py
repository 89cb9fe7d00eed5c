"""Metrics of messages to people."""

from collections.abc import Iterable

from prometheus_client import Counter, Gauge

DELIVERIES = Counter(
    "finlink_deliveries",
    "Tries to send a message, by channel and outcome: sent, retried (it failed and is repeated), refused, "
    "expired, or decoy (not to be sent)",
    ["channel", "outcome"],
)
OVERDUE = Gauge(
    "finlink_delivery_overdue_seconds",
    "How long the message that is most overdue has waited for a worker; 0 if none is due",
    multiprocess_mode="mostrecent",
)
OUTCOMES = ("sent", "retried", "refused", "expired", "decoy")


def show_zeros(channels: Iterable[str]) -> None:
    """Give each series its zero: Prometheus sees no rise in a series that begins with its first event."""
    for channel in channels:
        for outcome in OUTCOMES:
            DELIVERIES.labels(channel, outcome)
