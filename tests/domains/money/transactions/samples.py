"""Accounts, categories and transactions for tests of rules."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import count
from typing import Any

from server.domains.money.transactions.creation import Making, created
from server.domains.money.transactions.editing import Edit, Edited
from server.domains.money.transactions.facts import AccountFacts, Facts
from server.domains.money.transactions.model import (
    Amount,
    NewTransaction,
    Transaction,
    TransactionChanges,
    Update,
)

BANK, CARD, EURO, OLD, YEN = "a1", "a2", "a3", "a4", "a5"
FOOD, RENT, WAGE = "c1", "c2", "c3"
FACTS = Facts(
    {
        BANK: AccountFacts(BANK, "INR"),
        CARD: AccountFacts(CARD, "INR"),
        EURO: AccountFacts(EURO, "EUR"),
        OLD: AccountFacts(OLD, "INR", archived=True),
        YEN: AccountFacts(YEN, "JPY"),
    },
    {FOOD: "expense", RENT: "expense", WAGE: "income"},
)
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
TODAY = date(2026, 11, 29)
_numbers = count(1)
MAKING = Making("u1", 7, NOW, TODAY, lambda: f"{next(_numbers):024x}")


def new(kind: Any = "expense", value: str = "100.00", **others: Any) -> NewTransaction:
    given: dict[str, Any] = {"account_id": BANK, "amount": Amount(value), **others}
    return NewTransaction(kind=kind, **given)


def made(kind: Any = "expense", value: str = "100.00", **others: Any) -> Transaction:
    return created(new(kind, value, **others), FACTS, MAKING)[0]


def legs(value: str = "100.00", **others: Any) -> tuple[Transaction, Transaction]:
    first, second = created(new("transfer", value, to_account_id=CARD, **others), FACTS, MAKING)
    return first, second


def edited(
    before: Transaction,
    other: Transaction | None = None,
    *,
    unlock: bool = False,
    **changes: Any,
) -> Edited:
    update = Update(id=before.id, changes=TransactionChanges(**changes), unlock=unlock)
    return Edit(update, before, other, FACTS).made(rev=8, now=NOW, transfer_id="f" * 24)
