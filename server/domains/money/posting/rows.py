"""Rows of bank statements and holdings as the books need them: whole minor units, and the stream they are of.

A stream is one account at one house. Its name is part of what identifies a row, so it never changes.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from finlink_words import AccountType

from server.core import money
from server.domains.money.transactions.model import Direction
from server.kernel import FedRecord

BANK = "bank:"  # begins the names of streams of rows; all others have values alone
_DIRECTIONS: Mapping[str, Direction] = {"credit": "in", "debit": "out"}
# Of what is worth something: the account's type by the holding's kind. Totals and `account` are
# reported again as others, so they never count.
_TYPES: Mapping[str, AccountType] = {
    "deposit": "deposit", "epf": "retirement", "nps": "retirement",
    **dict.fromkeys(
        ("equity", "etf", "reit", "invit", "bond", "mutual_fund", "position", "cash", "other"), "investment",
    ),
}  # fmt: skip
_DEBTS: Mapping[str, AccountType] = {"card": "credit_card", "loan": "loan"}
_WORDS: Mapping[AccountType, str] = {
    "credit_card": "card", "loan": "loan", "deposit": "deposit", "retirement": "retirement",
    "investment": "investment",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BankRow:
    """A row of a bank's statement."""

    record: FedRecord
    stream: str  # of the account's own currency; `stream_in` has the others'
    institution: str
    day: date
    currency: str
    units: int  # without sign
    direction: Direction | None  # None: the bank does not say
    balance: int | None  # after it
    text: str

    @property
    def sign(self) -> int:
        """0 where the bank does not say."""
        return 0 if self.direction is None else 1 if self.direction == "in" else -1


def bank_row(record: FedRecord, platform: str) -> BankRow | None:
    """None for what cannot be money: an amount that its currency does not have, or no day."""
    data = record.data
    amount = _money(data.get("amount"))
    if amount is None:
        return None
    try:
        day = date.fromisoformat(str(data["date"]))
    except (KeyError, ValueError):
        return None
    institution = str(data.get("institution") or platform)
    balance = _money(data.get("balanceAfter"), amount.currency)
    return BankRow(
        record,
        f"{BANK}{institution}",
        institution,
        day,
        amount.currency,
        abs(amount.units),
        _DIRECTIONS.get(str(data.get("direction"))),
        None if balance is None else balance.units,
        str(data.get("narration") or data.get("mode") or ""),
    )


def stream_in(stream: str, currency: str, own: str) -> str:
    """Rows in another currency than the account's are a stream of their own."""
    return stream if currency == own else f"{stream}/{currency}"


@dataclass(frozen=True, slots=True)
class Value:
    """The sum of what one house reports; what is owed is negative."""

    type: AccountType
    institution: str
    currency: str
    units: int
    as_of: date | None


def values_of(holdings: Iterable[FedRecord], platform: str) -> dict[str, Value]:
    """By stream, the sums of holdings: balances of bank accounts as `bank:`, all else by type and house."""
    found: defaultdict[tuple[str, AccountType, str, str], list[tuple[int, date | None]]]
    found = defaultdict(list)
    for each in holdings:
        kind, amount = str(each.data.get("kind")), _money(each.data.get("value"))
        if amount is None:
            continue
        if kind == "savings":
            type_: AccountType | None = "bank"
        elif kind == "liability":
            type_ = _DEBTS.get(str(each.data.get("debt")))
        else:
            type_ = _TYPES.get(kind)
        if type_ is None:
            continue
        house = str(each.data.get("institution") or platform)
        units = -amount.units if kind == "liability" else amount.units
        name = f"{_WORDS.get(type_, 'bank')}:{house}"
        found[name, type_, house, amount.currency].append((units, _day(each.data.get("asOf"))))
    return {
        _named(name, currency, found): Value(
            type_,
            house,
            currency,
            sum(units for units, _ in listed),
            max((day for _, day in listed if day is not None), default=None),
        )
        for (name, type_, house, currency), listed in found.items()
    }


def _named(name: str, currency: str, found: Mapping[tuple[str, Any, Any, str], Any]) -> str:
    """The first currency by its code has the plain name."""
    return stream_in(name, currency, min(each[3] for each in found if each[0] == name))


def _money(given: Any, currency: str | None = None) -> money.Money | None:
    if not isinstance(given, Mapping):
        return None
    try:
        value = Decimal(str(given["value"]))
    except (KeyError, InvalidOperation):
        return None
    named = given.get("currency") or currency
    return money.of_decimal(value, str(named)) if named else None


def _day(given: Any) -> date | None:
    try:
        return None if given is None else date.fromisoformat(str(given)[:10])
    except ValueError:
        return None
