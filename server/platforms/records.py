"""Records: one shape for each data type, whatever the platform.

Decimal quantities are `Decimal` here and strings on the wire. Dates without a time are `date`,
instants are timezone-aware `datetime` in UTC. A field the platform does not report is `None`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from finlink_words import HoldingKind, TradeSide, TransactionDirection


@dataclass(frozen=True, slots=True)
class Money:
    value: Decimal
    currency: str | None = None  # ISO 4217


@dataclass(frozen=True, slots=True)
class Transaction:
    """One row of a bank statement. `amount` is unsigned; `direction` gives its sign."""

    date: date
    direction: TransactionDirection
    amount: Money
    narration: str
    mode: str
    institution: str
    balance_after: Money | None = None


@dataclass(frozen=True, slots=True)
class Trade:
    """One fill of an order, or one corporate action that changed a quantity."""

    side: TradeSide
    quantity: Decimal
    time: datetime | None = None  # where the platform gives an instant
    date: date | None = None  # where it gives a day only
    isin: str | None = None
    symbol: str | None = None
    exchange: str | None = None
    fund: str | None = None
    folio: str | None = None
    price: Decimal | None = None
    amount: Money | None = None


# Kinds never overlap but for the two totals and `account`: an account whose content is reported
# again as holdings of their own (mutual fund schemes, provident fund). Never add those to the rest.
@dataclass(frozen=True, slots=True)
class Holding:
    """Something owned or owed now. `value` of a liability is its positive amount.

    `quantity` is all units. Where a platform reports parts of it, those add up to it.
    """

    kind: HoldingKind
    name: str
    isin: str | None = None
    symbol: str | None = None
    exchange: str | None = None
    folio: str | None = None
    institution: str | None = None
    quantity: Decimal | None = None
    average_price: Decimal | None = None
    last_price: Decimal | None = None
    value: Money | None = None
    as_of: date | None = None
    free_quantity: Decimal | None = None
    unsettled_quantity: Decimal | None = None
    pledged_quantity: Decimal | None = None
    margin_quantity: Decimal | None = None
    margin_average_price: Decimal | None = None
    cost: Money | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """The platform's facts about its user; one a connector."""

    platform_user_id: str | None = None
    name: str | None = None
    email: str | None = None
    broker: str | None = None
    account_type: str | None = None
    date_of_birth: date | None = None
    institutions: Sequence[str] = field(default_factory=tuple)
    exchanges: Sequence[str] = field(default_factory=tuple)
    products: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Item:
    """One item as fetched. `key` identifies it in its connector and data type, run after run."""

    key: str
    record: Transaction | Trade | Holding | Profile


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` on, a reply has every row of a group that the platform still reports.

    A group is the records with one value of a field: a bank's rows, the trades of a security.
    """

    field: Literal["institution", "isin", "exchange"]
    group: str
    since: datetime
