"""Metrics of calls to platforms, for every platform."""

from prometheus_client import Histogram

from server.observability.metrics import CALL_SECONDS

PLATFORM_CALLS = Histogram(
    "finlink_platform_call_seconds",
    "Duration of calls to platforms, by outcome: an HTTP status class (2xx …) or the kind of failure",
    ["platform", "call", "outcome"],
    buckets=CALL_SECONDS,
)
