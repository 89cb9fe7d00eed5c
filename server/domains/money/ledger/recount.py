"""Compares a ledger with the transactions that it should be the sum of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date

from server.domains.money.ledger.model import Entry
from server.domains.money.ledger.month import NONE, Month, Place, StoredMonth, Sums, code_of
from server.domains.money.ledger.store import MonthKey
from server.domains.money.ledger.sums import LedgerSums

_FIELDS = ("posted", "reconciled", "pending", "count", "last_day")


class Recount:
    """Adds entries up, then says what a ledger has otherwise: places and accounts, never amounts."""

    def __init__(self, sums: LedgerSums) -> None:
        self._sums = sums
        self._months: defaultdict[MonthKey, dict[Place, Sums]] = defaultdict(dict)
        self._unknown: set[str] = set()

    def add(self, entry: Entry) -> None:
        account = bytes.fromhex(entry.account_id)
        if account in self._sums.gone:
            return
        if account not in self._sums.accounts:
            self._unknown.add(entry.account_id)
            return
        cells, code, count = self._months[entry.day.year, entry.day.month], code_of(entry), 1
        for category_id, units in entry.parts:
            category = self._sums.resolved(bytes.fromhex(category_id) if category_id else NONE)
            place = (entry.day.day, account, category, code)
            before = cells.get(place, (0, 0, 0))
            cells[place] = (before[0] + units, before[1] + count, before[2] + 1)
            count = 0

    def differences(self, stored: Mapping[MonthKey, StoredMonth]) -> list[str]:
        """Empty where everything is as it should be."""
        return [
            *(f"account {each}: not in the ledger" for each in sorted(self._unknown)),
            *self._different_cells(stored),
            *self._different_sums(),
        ]

    def _different_cells(self, stored: Mapping[MonthKey, StoredMonth]) -> Iterator[str]:
        for key in sorted({*stored, *self._months}):
            month = Month()
            if key in stored:
                month = Month.of(stored[key], self._sums.aliases, self._sums.gone)
            found, expected = dict(month.items()), self._months.get(key, {})
            for place in sorted({*found, *expected}):
                if found.get(place) != expected.get(place):
                    day, account, category, code = place
                    yield (
                        f"{key[0]:04}-{key[1]:02}-{day:02}: account {account.hex()}, "
                        f"category {category.hex() or 'none'}, code {code}"
                    )

    def _different_sums(self) -> Iterator[str]:
        cells: defaultdict[bytes, list[tuple[int, int, Sums]]] = defaultdict(list)
        for (year, number), month in self._months.items():
            for (day, account, _, code), sums in month.items():
                cells[account].append((date(year, number, day).toordinal(), code, sums))
        for account, each in self._sums.accounts.items():
            expected = each.summed_again(cells[account])
            for field in _FIELDS:
                if getattr(each, field) != getattr(expected, field):
                    yield f"account {account.hex()}: {field}"
