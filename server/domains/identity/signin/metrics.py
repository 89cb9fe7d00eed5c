"""The metrics of signing in."""

from prometheus_client import Counter

LOGINS = Counter(
    "finlink_logins", "Logins by how they were made and how they ended", ["method", "outcome"]
)
REFRESHES = Counter("finlink_refreshes", "Refresh tokens given back, by outcome", ["outcome"])
METHODS = ("password", "otp", "totp", "recovery_code", "date_of_birth")
EXTERNAL_OUTCOMES = ("succeeded", "challenged", "failed", "not_active", "unavailable")
OUTCOMES = ("succeeded", "challenged", "failed", "not_active", "not_verified")


def show_zeros() -> None:
    """Series exist before anything happens, so that rates can be taken of the first events."""
    for method in METHODS:
        for outcome in OUTCOMES:
            LOGINS.labels(method, outcome)
    for outcome in EXTERNAL_OUTCOMES:
        LOGINS.labels("external", outcome)
    for outcome in ("rotated", "repeated", "ended", "refused"):
        REFRESHES.labels(outcome)
