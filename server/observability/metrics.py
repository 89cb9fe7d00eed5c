"""What Finlink counts for Prometheus. Labels are words of the contract, never of a user.

Under `run` all processes count into files of one folder (PROMETHEUS_MULTIPROC_DIR, which the library
reads), and the supervisor serves their sums.
"""

from __future__ import annotations

from prometheus_client import Counter, Histogram

CALLS = Histogram(
    "finlink_call_seconds",
    "Calls by RPC, contract error code (OK where none) and way (rest or grpc), and how long they took",
    ["method", "code", "via"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
CACHED_ANSWERS = Counter(
    "finlink_cached_answers",
    "Calls whose answer may be cached, by whether it was: hit or miss",
    ["outcome"],
)
SUSPICIOUS = Counter(
    "finlink_suspicious_events",
    "What looks like an attack, by the action that the audit trail has of it",
    ["what"],
)
REFUSED_LOGINS = Counter(
    "finlink_refused_logins", "Logins that a platform refused, by platform", ["platform"]
)
STOPPED_LOGINS = Counter(
    "finlink_stopped_logins",
    "Times that a user's logins at a platform were stopped for 15 minutes",
    ["platform"],
)
