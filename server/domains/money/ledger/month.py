"""A month of a user's ledger: cells of (day, account, category, kind) with sum, count and parts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date
from itertools import chain
from typing import TypeAlias

import msgspec

from server.domains.money.ledger.model import KINDS, STATUSES, Cell, Entry

NONE = b""  # the id of no category
# Of what analytics count the codes are below this one: posted or reconciled, and not excluded.
COUNTED = 16
_EXCLUDED = 32
_INT64 = 1 << 63

# A day of the month, an account, a category and a code of kind, status and `excluded`.
Place: TypeAlias = tuple[int, bytes, bytes, int]
# The sum, how many transactions, how many parts: a cell is gone with its last part.
Sums: TypeAlias = tuple[int, int, int]
# The day that stands for a day of an account, where several days are added up.
DayOf: TypeAlias = Callable[[date, str], date]
Number: TypeAlias = int | str  # msgpack has 64 bits; a larger number is stored as text


class StoredMonth(msgspec.Struct, array_like=True):
    """A month as it is sealed. Cells name accounts and categories by their place in the lists."""

    accounts: list[bytes]
    categories: list[bytes]
    cells: list[Number]  # day, account, category, code, sum, count, parts; and so on


def stored_number(value: int) -> Number:
    return value if -_INT64 <= value < _INT64 else str(value)


def code_of(entry: Entry) -> int:
    excluded = _EXCLUDED if entry.excluded else 0
    return KINDS.index(entry.kind) + 8 * STATUSES.index(entry.status) + excluded


def is_pending(code: int) -> bool:
    return code >> 3 & 3 == 2


def is_reconciled(code: int) -> bool:
    return code >> 3 & 3 == 1


def is_posted(code: int) -> bool:
    return code >> 3 & 3 == 0


def reconciled(code: int) -> int:
    """The code of the same once it is reconciled, of what is posted."""
    return code | 8


class Month:
    """The cells of one month, of accounts that are there and of categories that were not merged."""

    def __init__(self) -> None:
        self._accounts: list[bytes] = []
        self._categories: list[bytes] = []
        self._cells: dict[tuple[int, int, int, int], Sums] = {}

    @classmethod
    def of(
        cls, stored: StoredMonth, aliases: Mapping[bytes, bytes], gone: Collection[bytes]
    ) -> Month:
        """The stored month, without accounts that are gone, and each alias as the category it stands for."""
        month = cls()
        numbers = iter(stored.cells)
        cells = zip(*[numbers] * 7, strict=True)
        if aliases.keys().isdisjoint(stored.categories) and not gone:
            month._accounts, month._categories = stored.accounts, stored.categories
            month._cells = {
                (day, account, category, code): (int(units), count, parts)
                for day, account, category, code, units, count, parts in cells
            }
            return month
        for day, account, category, code, units, count, parts in cells:
            account_id = stored.accounts[account]
            if account_id not in gone:
                category_id = stored.categories[category]
                place = (day, account_id, aliases.get(category_id, category_id), code)
                month.add(place, (int(units), count, parts))
        return month

    def add(self, place: Place, sums: Sums) -> None:
        """Raises ValueError if more is taken from a cell than it has."""
        day, account, category, code = place
        key = (day, _index(self._accounts, account), _index(self._categories, category), code)
        units, count, parts = self._cells.get(key, (0, 0, 0))
        units, count, parts = units + sums[0], count + sums[1], parts + sums[2]
        if parts < 0 or count < 0 or (not parts and (units or count)):
            raise ValueError("what is taken from the ledger was not posted to it")
        if parts:
            self._cells[key] = (units, count, parts)
        else:
            self._cells.pop(key, None)

    def __bool__(self) -> bool:
        return bool(self._cells)

    def stored(self) -> StoredMonth:
        used_accounts = {account for _, account, _, _ in self._cells}
        used_categories = {category for _, _, category, _ in self._cells}
        if (len(used_accounts), len(used_categories)) != (
            len(self._accounts), len(self._categories)
        ):  # fmt: skip
            return self._without_unused().stored()
        numbers: list[Number] = list(
            chain.from_iterable(key + sums for key, sums in self._cells.items())
        )
        if any(not -_INT64 <= sums[0] < _INT64 for sums in self._cells.values()):
            numbers = [stored_number(int(each)) for each in numbers]
        return StoredMonth(self._accounts, self._categories, numbers)

    def _without_unused(self) -> Month:
        """The same, without accounts and categories that nothing is left of."""
        month = Month()
        for place, sums in self.items():
            month.add(place, sums)
        return month

    def items(self) -> Iterator[tuple[Place, Sums]]:
        for (day, account, category, code), sums in self._cells.items():
            yield (day, self._accounts[account], self._categories[category], code), sums

    def last_day(self, account: bytes) -> int:
        """The newest day on which an account has something; 0 if there is none."""
        if account not in self._accounts:
            return 0
        place = self._accounts.index(account)
        return max((day for day, each, _, _ in self._cells if each == place), default=0)


def counted_cells(
    stored: StoredMonth,
    aliases: Mapping[bytes, bytes],
    gone: Collection[bytes],
    first: date,
    last: date,
) -> list[Cell]:
    """The cells that analytics count, of the days of a month from `first` to `last`.

    Straight from what is stored, because long ranges have many: cells of categories that were merged stand
    beside each other.
    """
    accounts = [None if each in gone else each.hex() for each in stored.accounts]
    categories = [aliases.get(each, each).hex() or None for each in stored.categories]
    days = [date(first.year, first.month, max(day, 1)) for day in range(last.day + 1)]
    since, until = first.day, last.day
    return [
        Cell(days[day], account_id, categories[category], KINDS[code & 7], int(units), count)
        for day, account, category, code, units, count, _ in zip(
            *[iter(stored.cells)] * 7, strict=True
        )
        if code < COUNTED and since <= day <= until and (account_id := accounts[account])
    ]


def summed_cells(
    stored: StoredMonth,
    aliases: Mapping[bytes, bytes],
    gone: Collection[bytes],
    first: date,
    last: date,
    day_of: DayOf,
) -> list[Cell]:
    """The same, with cells of an account added up whose days are one by `day_of`: a fraction of as many."""
    month = [date(first.year, first.month, max(day, 1)) for day in range(last.day + 1)]
    accounts = [None if each in gone else each.hex() for each in stored.accounts]
    days = [[] if each is None else [day_of(day, each) for day in month] for each in accounts]
    categories = [aliases.get(each, each).hex() or None for each in stored.categories]
    since, until = first.day, last.day
    sums: dict[tuple[date, int, int, int], tuple[int, int]] = {}
    for day, account, category, code, units, count, _ in zip(
        *[iter(stored.cells)] * 7, strict=True
    ):
        if code < COUNTED and since <= day <= until and (of_account := days[account]):
            place = (of_account[day], account, category, code & 7)
            before = sums.get(place, (0, 0))
            sums[place] = (before[0] + int(units), before[1] + count)
    return [
        Cell(day, accounts[account] or "", categories[category], KINDS[kind], units, count)
        for (day, account, category, kind), (units, count) in sums.items()
    ]


def _index(items: list[bytes], item: bytes) -> int:
    try:
        return items.index(item)  # of a few dozen, fewer than a dictionary would pay for
    except ValueError:
        items.append(item)
        return len(items) - 1
