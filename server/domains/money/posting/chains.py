"""Whether rows and the balances after them make a chain, and what follows from it.

A platform promises no order within a day, so the order is the one in which each balance follows from the one
before. A chain proves the balance before its first row, that after its last one, and the signs of rows whose
direction the bank does not say. Where rows are missing, those after the gap still prove the newest balance,
and the balances right before and after a row its sign.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from server.domains.money.posting.rows import BankRow

_MOST_STEPS = 20_000
_ROWS_A_GAP = 5  # at least; the rows of two accounts at one bank have more gaps than that


@dataclass(frozen=True, slots=True)
class Chain:
    first: int  # the balance before the first row
    last: int  # after the last one
    signs: Mapping[str, int]  # of the rows without a direction, by the record's id


class _TooManySteps(Exception):
    pass


def chain(rows: Sequence[BankRow], start: int | None = None) -> Chain | None:
    """The chain of all rows, from a balance before them if it is known; None if there is none."""
    if not rows or any(row.balance is None for row in rows):
        return None
    try:
        found = _Search().over(_days(rows), start)
        return _agreed(found, all_known=all(row.direction for row in rows))
    except _TooManySteps:
        return None


def newest_balance(rows: Sequence[BankRow]) -> int | None:
    """The balance after the newest of rows that are a chain but for a few gaps between days; else None."""
    left: int | None = None
    gaps = 0
    for of_day in _days(rows):
        found = None if left is None else chain(of_day, left)
        if found is None:
            gaps += 1
            found = chain(of_day)
        if found is None:
            return None
        left = found.last
    return left if gaps * _ROWS_A_GAP <= len(rows) else None


def proven_signs(rows: Sequence[BankRow], start: int | None = None) -> dict[str, int]:
    """The signs of rows without a direction that the balances around them prove, by the record's id."""
    found: dict[str, int] = {}
    before = {start}
    for of_day in _days(rows):
        for row in of_day:
            if row.direction is not None or row.balance is None:
                continue
            around = before | {each.balance for each in of_day if each is not row}
            signs = [sign for balance, sign in _befores(row) if balance in around]
            if len(signs) == 1:
                found[row.record.id] = signs[0]
        before = {each.balance for each in of_day}
    return found


def _days(rows: Sequence[BankRow]) -> list[list[BankRow]]:
    by_day = sorted(rows, key=attrgetter("day"))
    return [list(of_day) for _, of_day in groupby(by_day, attrgetter("day"))]


def _agreed(chains: Iterator[Chain], *, all_known: bool) -> Chain | None:
    """The part that all chains have in common; None if their ends differ.

    With known signs the first one does."""
    found: Chain | None = None
    for each in chains:
        if found is None:
            found = each
        elif (each.first, each.last) != (found.first, found.last):
            return None
        else:
            signs = {key: sign for key, sign in found.signs.items() if each.signs.get(key) == sign}
            found = Chain(found.first, found.last, signs)
        if all_known:
            break
    return found


class _Search:
    def __init__(self) -> None:
        self._steps = 0

    def over(self, days: Sequence[Sequence[BankRow]], start: int | None) -> Iterator[Chain]:
        """All chains, without recursion over days: there may be many."""
        stack = [(self._of_day(days[0], start), Chain(0, 0, {}))]
        while stack:
            paths, before = stack[-1]
            path = next(paths, None)
            if path is None:
                stack.pop()
                continue
            first = path.first if len(stack) == 1 else before.first
            so_far = Chain(first, path.last, {**before.signs, **path.signs})
            if len(stack) == len(days):
                yield so_far
                continue
            stack.append((self._of_day(days[len(stack)], path.last), so_far))

    def _of_day(self, rows: Sequence[BankRow], start: int | None) -> Iterator[Chain]:
        """The chains of one day; of those with the same ends and signs the first."""
        seen = set()
        starts = dict.fromkeys(before for row in rows for before, _ in _befores(row))
        for first in starts if start is None else [start]:
            for path in self._paths(list(rows), first):
                last = path[-1][0].balance or 0
                signs = {row.record.id: sign for row, sign in path if row.direction is None}
                key = (first, last, tuple(sorted(signs.items())))
                if key not in seen:
                    seen.add(key)
                    yield Chain(first, last, signs)
                if not signs:  # another order has the same ends
                    break

    def _paths(self, rows: Sequence[BankRow], first: int) -> Iterator[list[tuple[BankRow, int]]]:
        """The orders in which each balance follows from the one before, by depth first."""
        path: list[tuple[BankRow, int]] = []
        used: set[str] = set()
        stack = [self._nexts(rows, used, first)]
        while stack:
            self._steps += 1
            if self._steps > _MOST_STEPS:
                raise _TooManySteps
            step = next(stack[-1], None)
            if step is None:
                stack.pop()
                if path:
                    used.discard(path.pop()[0].record.id)
                continue
            row, _ = step
            path.append(step)
            used.add(row.record.id)
            if len(path) == len(rows):
                yield list(path)
                used.discard(path.pop()[0].record.id)
                continue
            stack.append(self._nexts(rows, used, row.balance or 0))

    def _nexts(
        self, rows: Sequence[BankRow], used: set[str], balance: int
    ) -> Iterator[tuple[BankRow, int]]:
        fitting = [
            (row, sign)
            for row in rows
            if row.record.id not in used
            for before, sign in _befores(row)
            if before == balance
        ]
        return iter(fitting)


def _befores(row: BankRow) -> list[tuple[int, int]]:
    """The balances that may be before a row, each with the sign that it has then."""
    signs = [row.sign] if row.sign else [1, -1]
    return [((row.balance or 0) - sign * row.units, sign) for sign in signs]
