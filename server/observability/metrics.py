"""What Finlink counts for Prometheus. Labels are words of the contract, never of a user.

Under `run` all processes count into files of one folder (PROMETHEUS_MULTIPROC_DIR, which the library
reads), and the supervisor serves their sums.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_CALL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LONG_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)

# Calls

CALLS = Histogram(
    "finlink_call_seconds",
    "Calls by RPC, contract error code (OK where none) and way (rest or grpc), and how long they took",
    ["method", "code", "via"],
    buckets=_CALL_SECONDS,
)

# Users and their connections

USERS = Gauge("finlink_users", "Users by status", ["status"], multiprocess_mode="mostrecent")
CONNECTORS = Gauge(
    "finlink_connectors",
    "Connectors by platform and status",
    ["platform", "status"],
    multiprocess_mode="mostrecent",
)
CONNECTS = Counter(
    "finlink_connects",
    "Attempts to connect, by platform and outcome: connected, login_required, or an error code",
    ["platform", "outcome"],
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

# Syncs and platforms

SYNC_RUNS = Histogram(
    "finlink_sync_run_seconds",
    "Sync runs by platform, how they ended (success, partial, failed) and error code, and how long they "
    "took since they began first",
    ["platform", "status", "code"],
    buckets=_LONG_SECONDS,
)
SYNC_LATENESS = Histogram(
    "finlink_sync_lateness_seconds",
    "How long after the time that its interval gave it a run began; 0 for one that was asked for sooner",
    ["platform"],
    buckets=_LONG_SECONDS,
)
SYNC_OVERDUE = Gauge(
    "finlink_sync_overdue_seconds",
    "How long the run that has been due longest has waited for a worker; 0 where none is due",
    multiprocess_mode="mostrecent",
)
SYNCS_RUNNING = Gauge(
    "finlink_syncs_running", "Runs that workers hold a lease of", multiprocess_mode="livesum"
)
SYNCS_DEFERRED = Counter(
    "finlink_syncs_deferred", "Times that a run was put off for a platform's limits", ["platform"]
)
SYNCS_ABANDONED = Counter(
    "finlink_syncs_abandoned", "Runs that were left by a worker that died", ["platform"]
)
LEASES_LOST = Counter(
    "finlink_sync_leases_lost", "Runs whose worker found its lease taken or ended", ["platform"]
)
PLATFORM_CALLS = Histogram(
    "finlink_platform_call_seconds",
    "Calls to platforms by call and outcome: an HTTP status class (2xx …) or the kind of failure",
    ["platform", "call", "outcome"],
    buckets=_CALL_SECONDS,
)
# Those with no other label.
BY_PLATFORM = (
    REFUSED_LOGINS, STOPPED_LOGINS, SYNC_LATENESS, SYNCS_DEFERRED, SYNCS_ABANDONED, LEASES_LOST,
)  # fmt: skip

# MongoDB

MONGODB_COMMANDS = Histogram(
    "finlink_mongodb_command_seconds",
    "Commands to MongoDB and how long they took, by outcome: ok or failed",
    ["command", "outcome"],
    buckets=_CALL_SECONDS,
)
MONGODB_CONNECTIONS = Gauge(
    "finlink_mongodb_connections", "Connections to MongoDB", multiprocess_mode="livesum"
)
MONGODB_IN_USE = Gauge(
    "finlink_mongodb_connections_in_use",
    "Connections to MongoDB that an operation holds",
    multiprocess_mode="livesum",
)
MONGODB_WAITS = Histogram(
    "finlink_mongodb_wait_seconds",
    "How long operations waited for a connection",
    buckets=_CALL_SECONDS,
)
