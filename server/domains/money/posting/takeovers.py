"""Rows that came by two ways: typed or imported, then synced."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import TypeAlias

from finlink_words import TransactionSource

from server.domains.money.transactions.model import Transaction

LONGEST = timedelta(days=5)  # between the two dates
# Of a row: its key, its signed amount and its day.
Coming: TypeAlias = tuple[str, int, date]


def takeovers(
    rows: Iterable[Coming], known: Iterable[Transaction], source: TransactionSource
) -> Mapping[str, Transaction]:
    """By row, the transaction that it takes over: of the same account and signed amount, at most 5 days away
    and without an origin of the same source; nearest dates first, each once."""
    free = [each for each in known if not any(origin.source == source for origin in each.origins)]
    listed = list(rows)
    pairs = sorted(
        (abs(day - each.day), number, each.id)
        for number, (_, signed, day) in enumerate(listed)
        for each in free
        if each.signed == signed and abs(day - each.day) <= LONGEST
    )
    by_id = {each.id: each for each in free}
    found: dict[str, Transaction] = {}
    for _, number, identifier in pairs:
        key = listed[number][0]
        if identifier in by_id and key not in found:
            found[key] = by_id.pop(identifier)
    return found
