"""Transactions and their parts. Amounts are whole minor units of the account's currency."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeAlias

import msgspec
from finlink_words import MoneyDirection, TransactionKind, TransactionSource, TransactionStatus
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from server.domains.money.ledger.model import Entry

Kind: TypeAlias = TransactionKind
Direction: TypeAlias = MoneyDirection
Status: TypeAlias = TransactionStatus
BANK_SOURCES = frozenset({"connector", "import"})
RECONCILED = "reconciled"
TRANSFER = "transfer"


class Part(msgspec.Struct, frozen=True, array_like=True):
    """A part of a split transaction."""

    units: int
    category_id: str | None = None
    description: str | None = None


class Foreign(msgspec.Struct, frozen=True, array_like=True):
    """An amount in the currency that was paid with."""

    units: int
    currency: str


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """Where a transaction came from; `id` is that of a connector, an import, a template or a group."""

    source: TransactionSource
    id: str | None = None


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    owner: str  # `User.id`
    rev: int  # of the owner's ledger, when it was last changed
    account_id: str
    kind: Kind
    direction: Direction
    units: int  # more than zero
    day: date
    status: Status = "posted"
    category_id: str | None = None
    parts: tuple[Part, ...] = ()
    tags: tuple[str, ...] = ()
    excluded: bool = False
    description: str | None = None
    payee: str | None = None
    notes: str | None = None
    foreign: Foreign | None = None
    occurred_at: datetime | None = None
    refund_of: str | None = None
    transfer_id: str | None = None  # of a transfer; both legs have the same
    counterpart_id: str | None = None  # the other leg
    origins: tuple[Origin, ...] = ()
    bank_text: str | None = None
    external_id: str | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def signed(self) -> int:
        """The units as the balance counts them."""
        return self.units if self.direction == "in" else -self.units

    @property
    def is_linked(self) -> bool:
        """Whether a bank reported it."""
        return any(origin.source in BANK_SOURCES for origin in self.origins)

    @property
    def is_reconciled(self) -> bool:
        return self.status == RECONCILED

    @property
    def is_paired(self) -> bool:
        return self.counterpart_id is not None

    @property
    def categories(self) -> list[str | None]:
        """Each once; None stands for none, where there could be one."""
        if self.kind in {"transfer", "adjustment"}:
            return []
        found = [each.category_id for each in self.parts] or [self.category_id]
        return list(dict.fromkeys(found))

    @property
    def entry(self) -> Entry:
        """The ledger's entry of it."""
        sign = 1 if self.direction == "in" else -1
        parts = [(part.category_id, sign * part.units) for part in self.parts]
        return Entry(
            account_id=self.account_id,
            day=self.day,
            kind=self.kind,
            status=self.status,
            excluded=self.excluded,
            units=self.signed,
            parts=parts or [(self.category_id, self.signed)],
        )

    def alone(self) -> "Transaction":
        """The same as a transfer without a counterpart."""
        return replace(self, counterpart_id=None)


class Amount(msgspec.Struct, frozen=True):
    """An amount as a caller sent it: `value` is a decimal number."""

    value: str
    currency: str | None = None


class NewPart(msgspec.Struct, frozen=True):
    """A part as a caller sent it."""

    amount: Amount
    category_id: str | None = None
    description: str | None = None


class NewTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction as a caller sent it. Texts are trimmed and in NFC; an empty one is None."""

    account_id: str
    kind: Kind
    direction: Direction | None = None
    amount: Amount
    day: date | None = None
    description: str | None = None
    payee: str | None = None
    notes: str | None = None
    category_id: str | None = None
    parts: tuple[NewPart, ...] = ()
    tags: tuple[str, ...] = ()
    status: Status = "posted"
    excluded: bool = False
    foreign: Amount | None = None
    occurred_at: datetime | None = None
    refund_of: str | None = None
    to_account_id: str | None = None
    to_amount: Amount | None = None
    to_day: date | None = None
    external_id: str | None = None


class TransactionChanges(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of a transaction as a caller sent them: UNSET leaves a field, None removes it."""

    account_id: str | UnsetType = UNSET
    kind: Kind | UnsetType = UNSET
    direction: Direction | UnsetType = UNSET
    amount: Amount | UnsetType = UNSET
    day: date | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    payee: str | UnsetType | None = UNSET
    notes: str | UnsetType | None = UNSET
    category_id: str | UnsetType | None = UNSET
    parts: tuple[NewPart, ...] | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    excluded: bool | UnsetType = UNSET
    foreign: Amount | UnsetType | None = UNSET
    occurred_at: datetime | UnsetType | None = UNSET
    refund_of: str | UnsetType | None = UNSET
    external_id: str | UnsetType | None = UNSET

    @property
    def names(self) -> list[str]:
        """Of the fields that are changed."""
        return [name for name in self.__struct_fields__ if getattr(self, name) is not UNSET]


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """A change of one transaction."""

    id: str
    changes: TransactionChanges
    unlock: bool = False  # whether a reconciled one may change
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which transactions a list has, of what is plain; empty lists restrict nothing."""

    account_ids: Sequence[str] = ()
    category_ids: Sequence[str | None] = ()  # None: those that could have one and have none
    kinds: Sequence[str] = ()
    statuses: Sequence[str] = ()
    since: date | None = None
    until: date | None = None
    tag: str | None = None
    oldest_first: bool = False


@dataclass(frozen=True, slots=True)
class Deleted:
    """A transaction that was deleted."""

    transaction: Transaction  # as it was, but for `rev`
    at: datetime
