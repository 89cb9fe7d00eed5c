"""The metric of sessions."""

from prometheus_client import Counter

REUSED = Counter(
    "finlink_sessions_reused",
    "Sessions that were ended as a refresh token came back after its successor was used",
)
