"""Transactions as anybody would write them: rows in a dictionary, every sum counted from them each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from server.domains.money.transactions.model import Transaction

SIGNS = {"in": 1, "out": -1}


@dataclass(frozen=True)
class Row:
    account: str
    kind: str
    direction: str
    units: int
    day: date
    status: str = "posted"
    excluded: bool = False
    parts: tuple[tuple[str | None, int], ...] = ()  # category and units
    other: str | None = None  # the other leg
    linked: bool = False  # whether a bank reported it

    @property
    def signed(self) -> int:
        return SIGNS[self.direction] * self.units


@dataclass
class Plain:
    rows: dict[str, Row] = field(default_factory=dict)
    deleted: dict[str, Row] = field(default_factory=dict)
    changes: int = 0

    def balances(self, openings: dict[str, int]) -> dict[str, tuple[int, int, int]]:
        """Balance, reconciled and pending by account."""
        found = {}
        for account, opening in openings.items():
            sums: Counter[str] = Counter()
            for row in self.rows.values():
                if row.account == account:
                    sums[row.status] += row.signed
            reconciled = opening + sums["reconciled"]
            found[account] = (reconciled + sums["posted"], reconciled, sums["pending"])
        return found

    def cells(self) -> dict[Any, tuple[int, int]]:
        """Sum and count by day, account, category and kind."""
        units: Counter[Any] = Counter()
        counts: Counter[Any] = Counter()
        for row in self.rows.values():
            if row.excluded or row.status == "pending":
                continue
            for number, (category, part) in enumerate(row.parts or ((None, row.units),)):
                place = (row.day, row.account, category, row.kind)
                units[place] += SIGNS[row.direction] * part
                counts[place] += number == 0
        return {place: (units[place], counts[place]) for place in units}

    def spent(self, accounts: Collection[str], categories: Collection[str]) -> dict[str, int]:
        """By month: expenses less refunds of these categories."""
        found: Counter[str] = Counter()
        for (day, account, category, kind), (units, _) in self.cells().items():
            if account in accounts and category in categories and kind in {"expense", "refund"}:
                found[f"{day:%Y-%m}"] -= units
        return found


def row_of(transaction: Transaction) -> Row:
    t = transaction
    parts = tuple((part.category_id, part.units) for part in t.parts)
    if not parts and t.category_id is not None:
        parts = ((t.category_id, t.units),)
    return Row(
        t.account_id,
        t.kind,
        t.direction,
        t.units,
        t.day,
        t.status,
        t.excluded,
        parts,
        t.counterpart_id,
        t.is_linked,
    )
