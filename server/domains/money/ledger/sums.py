"""The sums of a user's accounts, as the ledger's own document has them sealed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import msgspec

from server.domains.money.ledger.model import Balance
from server.domains.money.ledger.month import Number, Place, Sums, is_pending, is_reconciled
from server.domains.money.ledger.month import stored_number as stored


class AccountSums(msgspec.Struct, array_like=True):
    """The sums of one account. Days are ordinals; 0 is before everything."""

    opening: int = 0
    opening_day: int = 0  # at whose start the account has `opening`
    posted: int = 0  # the rest is from that day on
    reconciled: int = 0  # of `posted`
    pending: int = 0
    count: int = 0  # of all days
    last_day: int = 0  # of all days, the newest with something
    rev: int = 0
    used: bool = False  # whether it has ever had a transaction, which may have been deleted

    def add(self, day: int, code: int, sums: Sums) -> None:
        units, count, _ = sums
        self.count += count
        self.used = self.used or count > 0
        if day < self.opening_day:
            return
        if is_pending(code):
            self.pending += units
            return
        self.posted += units
        if is_reconciled(code):
            self.reconciled += units

    def balance(self) -> Balance:
        return Balance(
            self.opening + self.posted,
            self.opening + self.reconciled,
            self.pending,
            self.count,
            date.fromordinal(self.last_day) if self.last_day else None,
            self.rev,
            self.used,
        )

    def summed_again(self, cells: Iterable[tuple[int, int, Sums]]) -> AccountSums:
        """The same account with the sums of all its cells: day, code and sums of each."""
        again = AccountSums(self.opening, self.opening_day, rev=self.rev, used=self.used)
        for day, code, sums in cells:
            again.add(day, code, sums)
            again.last_day = max(again.last_day, day)
        return again


class Numbers(msgspec.Struct, array_like=True):
    """`AccountSums` as they are sealed."""

    opening: Number
    opening_day: int
    posted: Number
    reconciled: Number
    pending: Number
    count: int
    last_day: int
    rev: int
    used: bool = False


class SealedSums(msgspec.Struct, array_like=True):
    """The sealed part of a ledger's document."""

    accounts: dict[bytes, Numbers] = {}
    aliases: dict[bytes, bytes] = {}  # deleted categories, by what took each over: NONE for nothing
    gone: list[bytes] = []  # deleted accounts of which something is still stored
    merged: dict[bytes, int] = {}  # by what took categories over, the revision of the last time


class LedgerSums:
    """The accounts of a user, what deleted categories stand for, and which accounts are to be skipped."""

    def __init__(self, sealed: SealedSums) -> None:
        self.accounts = {
            account: AccountSums(
                int(each.opening),
                each.opening_day,
                int(each.posted),
                int(each.reconciled),
                int(each.pending),
                each.count,
                each.last_day,
                each.rev,
                each.used,
            )
            for account, each in sealed.accounts.items()
        }
        self.aliases = dict(sealed.aliases)
        self.gone = set(sealed.gone)
        self.merged = dict(sealed.merged)

    def sealed(self) -> SealedSums:
        numbers = {
            account: Numbers(
                stored(each.opening),
                each.opening_day,
                stored(each.posted),
                stored(each.reconciled),
                stored(each.pending),
                each.count,
                each.last_day,
                each.rev,
                each.used,
            )
            for account, each in self.accounts.items()
        }
        return SealedSums(numbers, self.aliases, sorted(self.gone), self.merged)

    def resolved(self, category: bytes) -> bytes:
        return self.aliases.get(category, category)

    def merge(self, category: bytes, into: bytes, rev: int) -> None:
        """From a revision on a category stands for another or NONE, and so do those that stood for it."""
        self.merged.pop(category, None)
        self.merged[into] = rev
        for alias, target in self.aliases.items():
            if target == category:
                self.aliases[alias] = into
        self.aliases[category] = into

    def post(self, year: int, month: int, place: Place, sums: Sums, rev: int) -> None:
        day, account, _, code = place
        each = self.accounts[account]
        each.add(date(year, month, day).toordinal(), code, sums)
        each.rev = rev
