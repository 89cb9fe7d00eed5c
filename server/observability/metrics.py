"""Finlink's metrics for Prometheus: of calls, of MongoDB, and those that several domains share. The rest is
in the `metrics.py` of its domain, or of the platforms. Labels are words of the contract, never of a user.

Under `run` all processes count into files of one folder (PROMETHEUS_MULTIPROC_DIR, which the library
reads), and the supervisor serves their sums.
"""

from prometheus_client import Counter, Gauge, Histogram

CALL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
LONG_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)

CALLS = Histogram(
    "finlink_call_seconds",
    "Duration of calls, by RPC, error code of the contract (OK if none) and transport (rest or grpc)",
    ["method", "code", "via"],
    buckets=CALL_SECONDS,
)
CACHED_RESPONSES = Counter(
    "finlink_cached_responses",
    "Calls whose response may be cached, by outcome: hit or miss",
    ["outcome"],
)
SUSPICIOUS = Counter(
    "finlink_suspicious_events",
    "Events that look like an attack, by their action in the audit trail",
    ["action"],
)

# MongoDB

MONGODB_COMMANDS = Histogram(
    "finlink_mongodb_command_seconds",
    "Duration of commands to MongoDB, by outcome: ok or failed",
    ["command", "outcome"],
    buckets=CALL_SECONDS,
)
MONGODB_CONNECTIONS = Gauge(
    "finlink_mongodb_connections", "Connections to MongoDB", multiprocess_mode="livesum"
)
MONGODB_IN_USE = Gauge(
    "finlink_mongodb_connections_in_use",
    "Connections to MongoDB that an operation uses",
    multiprocess_mode="livesum",
)
MONGODB_WAITS = Histogram(
    "finlink_mongodb_wait_seconds",
    "How long operations waited for a connection",
    buckets=CALL_SECONDS,
)
