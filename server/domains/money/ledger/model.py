"""Entries of a ledger, and sums that are read from it. Amounts are whole minor units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypeAlias, get_args

import msgspec

from server.security.sealed_box import SealedBox

Kind: TypeAlias = Literal["expense", "income", "refund", "transfer", "adjustment"]
Status: TypeAlias = Literal["posted", "reconciled", "pending"]
KINDS: Sequence[Kind] = get_args(Kind)
STATUSES: Sequence[Status] = get_args(Status)


@dataclass(frozen=True, slots=True)
class MoneyOwner:
    """Whose money it is: `id` is `User.id`, which documents are owned by; `user_id` is what callers use."""

    id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class Entry:
    """The effect of a transaction: `units` with their sign, and the same divided over categories.

    A transaction without splits has one part. The first part carries the count.
    """

    account_id: str
    day: date
    kind: Kind
    status: Status
    excluded: bool  # from analytics, not from the balance
    units: int
    parts: Sequence[tuple[str | None, int]]  # category and units; they add up to `units`


class Cell(msgspec.Struct, frozen=True, gc=False):
    """The sum of what is posted or reconciled of one day, account, category and kind."""

    day: date
    account_id: str
    category_id: str | None
    kind: Kind
    units: int
    count: int  # transactions; one with splits counts where its first part is


@dataclass(frozen=True, slots=True)
class Balance:
    """The amounts of an account, in minor units of its currency; what is owed is negative."""

    balance: int = 0  # opening balance, and all posted and reconciled from the opening day on
    reconciled: int = 0  # opening balance, and what is reconciled
    pending: int = 0  # counted nowhere else
    count: int = 0  # transactions of any day and status
    last_day: date | None = None  # of the newest transaction
    rev: int = 0  # the ledger's, when something of the account was posted last
    used: bool = False  # whether there has ever been a transaction, which may have been deleted


@dataclass(frozen=True, slots=True)
class LedgerView:
    """A ledger at one moment."""

    rev: int  # of the last change of anything; 0 where there is no ledger yet
    balances: Mapping[str, Balance]  # by account
    aliases: Mapping[str, str | None]  # by deleted category, the one that took it over, or None
    box: SealedBox | None = None  # opens what the user has; None where there is no ledger yet
    cells: Sequence[Cell] = ()  # of the days that were asked for, in no order
    # By category, None for none: the revision in which it took another one over last.
    merged: Mapping[str | None, int] = field(default_factory=dict)

    def resolved(self, category_id: str) -> str | None:
        """The category that a deleted one stands for, itself if it is not; None: for none."""
        return self.aliases.get(category_id, category_id)
