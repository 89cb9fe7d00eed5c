"""A ledger as anybody would write it: a list of entries, and every sum counted from it each time."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from server.domains.money.ledger.model import KINDS, STATUSES, Balance, Entry

FIRST = date(2025, 11, 20)
DAYS = 120  # over five months


@dataclass
class PlainLedger:
    openings: dict[str, tuple[int, date | None]] = field(default_factory=dict)
    entries: dict[int, Entry] = field(default_factory=dict)
    merged: dict[str, str | None] = field(default_factory=dict)

    def category(self, category_id: str | None) -> str | None:
        while category_id in self.merged:
            category_id = self.merged[category_id]
        return category_id

    def living(self) -> list[Entry]:
        return [each for each in self.entries.values() if each.account_id in self.openings]

    def balance(self, account_id: str, until: date = date.max) -> Balance:
        opening, day = self.openings[account_id]
        of_account = [each for each in self.living() if each.account_id == account_id]
        counted = [
            each for each in of_account if (day is None or each.day >= day) and each.day <= until
        ]
        sums = {
            status: sum(each.units for each in counted if each.status == status)
            for status in STATUSES
        }
        return Balance(
            opening + sums["posted"] + sums["reconciled"],
            opening + sums["reconciled"],
            sums["pending"],
            len(of_account),
            max((each.day for each in of_account), default=None),
        )

    def cells(self, since: date, until: date) -> dict[Any, tuple[int, int]]:
        units: Counter[Any] = Counter()
        counts: Counter[Any] = Counter()
        for entry in self.living():
            if entry.excluded or entry.status == "pending" or not since <= entry.day <= until:
                continue
            for number, (category_id, part) in enumerate(entry.parts):
                place = (entry.day, entry.account_id, self.category(category_id), entry.kind)
                units[place] += part
                counts[place] += number == 0
        return {place: (units[place], counts[place]) for place in units}


def random_entry(chance: random.Random, accounts: list[str], categories: list[str]) -> Entry:
    units = chance.choice([1, -1]) * chance.choice([chance.randrange(1, 5_000), 10**18, 10**19])
    parts: list[tuple[str | None, int]] = []
    left = units
    for _ in range(chance.choice([0, 0, 0, 1, 3])):
        part = chance.randrange(-500, 500)
        parts.append((chance.choice([*categories, None]), part))
        left -= part
    parts.append((chance.choice([*categories, None]), left))
    return Entry(
        account_id=chance.choice(accounts),
        day=FIRST + timedelta(days=int(chance.triangular(0, DAYS, DAYS))),
        kind=chance.choice(KINDS),
        status=chance.choice([*STATUSES, "posted"]),
        excluded=chance.random() < 0.1,
        units=units,
        parts=parts,
    )


def changed(chance: random.Random, entry: Entry, accounts: list[str]) -> Entry:
    """The same with another day, status or account."""
    what = chance.randrange(3)
    if what == 0:
        return replace(entry, day=entry.day + timedelta(days=chance.randrange(-20, 20)))
    if what == 1:
        return replace(entry, status=chance.choice(STATUSES))
    return replace(entry, account_id=chance.choice(accounts))


def week_of(day: date, account_id: str) -> date:
    """The first day of its week, within the month."""
    return day.replace(day=(day.day - 1) // 7 * 7 + 1)


def added_up(cells: dict[Any, tuple[int, int]]) -> dict[Any, tuple[int, int]]:
    found: dict[Any, tuple[int, int]] = {}
    for (day, account_id, *others), (units, count) in cells.items():
        place = (week_of(day, account_id), account_id, *others)
        before = found.get(place, (0, 0))
        found[place] = (before[0] + units, before[1] + count)
    return found
