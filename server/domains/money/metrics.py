"""Metrics of users' money."""

from prometheus_client import Counter, Gauge

CHANGES = Counter(
    "finlink_money_changes",
    "Changes of users' money, by kind (account, category, transaction, budget) and outcome: saved, "
    "unchanged, refused, or failed",
    ["kind", "outcome"],
)
RECOUNTS = Counter(
    "finlink_money_recounts",
    "Users whose ledger the hourly sample compared with their transactions, by outcome: equal, different, or "
    "unreadable",
    ["outcome"],
)
DIFFERENCES = Gauge(
    "finlink_money_differences",
    "Differences between ledgers and transactions that the last sample found",
    multiprocess_mode="mostrecent",
)
ERASURES = Gauge(
    "finlink_money_erasures",
    "Deleted users and accounts whose money is still to be erased; nobody can read it any more",
    multiprocess_mode="mostrecent",
)
RATES_AGE = Gauge(
    "finlink_exchange_rates_age_seconds",
    "How long ago the day of the newest exchange rates began, by whether a setting says where newer ones "
    "come from (yes, no)",
    ["renewed"],
    multiprocess_mode="mostrecent",
)
KINDS = ("account", "category", "transaction", "budget")
OUTCOMES = ("saved", "unchanged", "refused", "failed")


def show_zeros() -> None:
    """Give each series its zero: Prometheus sees no rise in a series that begins with its first event."""
    for kind in KINDS:
        for outcome in OUTCOMES:
            CHANGES.labels(kind, outcome)
    for outcome in ("equal", "different", "unreadable"):
        RECOUNTS.labels(outcome)
