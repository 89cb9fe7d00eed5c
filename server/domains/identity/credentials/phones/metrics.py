"""The metrics of codes by SMS."""

from prometheus_client import Counter

OTPS = Counter(
    "finlink_otps",
    "Codes by SMS, by outcome: sent, limited (a limit of the number or address was met), unavailable "
    "(SMS_PER_HOUR is used up), right, wrong",
    ["outcome"],
)
OUTCOMES = ("sent", "limited", "unavailable", "right", "wrong")


def show_zeros() -> None:
    """Series exist before anything happens, so that rates can be taken of the first events."""
    for outcome in OUTCOMES:
        OTPS.labels(outcome)
