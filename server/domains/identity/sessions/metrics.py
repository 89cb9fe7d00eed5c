"""The metrics of sessions."""

from prometheus_client import Counter, Gauge

REUSED = Counter(
    "finlink_sessions_reused",
    "Sessions that were ended as a refresh token came back after its successor was used",
)
LIVE = Gauge(
    "finlink_sessions",
    "Sessions that have not ended, by kind",
    ["kind"],
    multiprocess_mode="mostrecent",
)
ACTIVE_USERS = Gauge(
    "finlink_active_users",
    "Users who have used a session within so many days, whether or not it has ended since",
    ["days"],
    multiprocess_mode="mostrecent",
)
