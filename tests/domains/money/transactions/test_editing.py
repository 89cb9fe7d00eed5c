"""What becomes of a transaction that is changed, and of the other leg of a transfer."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace

from server.core.errors import InvalidRequest
from server.domains.money.accounts.errors import AccountArchived
from server.domains.money.transactions.errors import TransactionLinked, TransactionReconciled
from server.domains.money.transactions.model import Amount, NewPart, Origin, Part, Transaction
from tests.domains.money.transactions.samples import (
    CARD,
    EURO,
    FOOD,
    OLD,
    RENT,
    WAGE,
    edited,
    legs,
    made,
)

SPLIT = (NewPart(Amount("60.00"), FOOD), NewPart(Amount("40.00"), RENT))


def linked(transaction: Transaction, source: Any = "connector") -> Transaction:
    return replace(transaction, origins=(Origin(source, "x"),))


def reconciled(transaction: Transaction) -> Transaction:
    return replace(transaction, status="reconciled")


def refused(before: Transaction, other: Transaction | None = None, **changes: Any) -> str:
    with pytest.raises(InvalidRequest) as raised:
        edited(before, other, **changes)
    (wrong,) = raised.value.fields
    return wrong.field


def test_what_is_not_sent_stays() -> None:
    before = made(payee="Cafe", notes="hot", tags=("a",), category_id=FOOD)
    after = edited(before, notes=None, description="Tea").after
    assert after == replace(before, rev=8, notes=None, description="Tea")


def test_an_amount_keeps_its_splits_true() -> None:
    before = made(parts=SPLIT)
    assert refused(before, amount=Amount("90.00")) == "splits"
    parts = (NewPart(Amount("50.00"), FOOD), NewPart(Amount("40.00"), RENT))
    after = edited(before, amount=Amount("90.00"), parts=parts).after
    assert (after.units, after.parts) == (9000, (Part(5000, FOOD), Part(4000, RENT)))


def test_a_category_stands_in_place_of_splits_and_the_other_way() -> None:
    split = made(parts=SPLIT)
    whole = edited(split, category_id=RENT).after
    assert (whole.category_id, whole.parts) == (RENT, ())
    again = edited(whole, parts=SPLIT).after
    assert (again.category_id, again.parts) == (None, split.parts)
    assert edited(split, parts=()).after.parts == ()
    assert edited(split, category_id=None).after.parts == split.parts
    assert edited(split, kind="refund", category_id=None).after.parts == split.parts
    assert edited(whole, kind="income", category_id=None).after.category_id is None
    assert refused(split, parts=SPLIT, category_id=FOOD) == "splits"


@pytest.mark.parametrize(
    ("kind", "direction", "category", "becomes"),
    [
        ("income", None, FOOD, "refund"),
        ("refund", None, WAGE, "income"),
        ("income", None, WAGE, "income"),
        ("adjustment", "in", FOOD, "refund"),
        ("adjustment", "in", WAGE, "income"),
        ("adjustment", "out", FOOD, "expense"),
        ("expense", None, RENT, "expense"),
    ],
)
def test_a_category_without_a_kind_says_the_kind(
    kind: str, direction: Any, category: str, becomes: str
) -> None:
    before = linked(made(kind, direction=direction))
    after = edited(before, category_id=category).after
    assert (after.kind, after.signed) == (becomes, before.signed)


def test_a_category_that_does_not_fit_is_refused() -> None:
    assert refused(made(), category_id=WAGE) == "categoryId"
    assert refused(made("transfer"), category_id=FOOD) == "categoryId"
    assert refused(made(category_id=FOOD), kind="income") == "categoryId"
    assert refused(made(parts=SPLIT), kind="income") == "splits[0].categoryId"
    assert edited(made(category_id=FOOD), kind="income", category_id=WAGE).after.kind == "income"
    assert edited(made(category_id=FOOD), kind="transfer").after.category_id is None


def test_what_a_bank_reported_stays() -> None:
    bank = linked(made("income"))
    for source in ("connector", "import"):
        with pytest.raises(TransactionLinked):
            edited(linked(bank, source), amount=Amount("90.00"))
    with pytest.raises(TransactionLinked):
        edited(bank, account_id=EURO, amount=Amount("1.00"))
    assert refused(bank, kind="expense") == "kind"
    assert refused(linked(made("transfer")), direction="in") == "direction"
    assert edited(bank, amount=Amount("100.00"), day=date(2026, 1, 1), account_id=CARD).after.units
    unconfirmed = replace(linked(made("adjustment", direction="in")), status="pending")
    assert edited(unconfirmed, direction="out").after.direction == "out"


def test_the_direction_of_what_was_typed_may_turn() -> None:
    assert edited(made(), kind="income").after.signed == 10000
    assert edited(made("adjustment", direction="in"), direction="out").after.signed == -10000
    assert edited(made("transfer"), direction="in").after.signed == 10000


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": Amount("90.00")},
        {"day": date(2026, 1, 1)},
        {"account_id": CARD},
        {"kind": "income"},
    ],
)
def test_what_is_reconciled_needs_unlock(changes: dict[str, Any]) -> None:
    before = reconciled(made())
    with pytest.raises(TransactionReconciled):
        edited(before, **changes)
    assert edited(before, unlock=True, **changes).after.is_reconciled
    assert edited(before, notes="fine", status="posted", category_id=FOOD).after.status == "posted"
    assert edited(before, amount=Amount("100.00")).after.units == 10000, "nothing changes"


def test_another_account() -> None:
    before = made(category_id=FOOD)
    assert edited(before, account_id=CARD).after.account_id == CARD
    assert refused(before, account_id=EURO) == "accountId"
    assert edited(before, account_id=EURO, amount=Amount("1.00")).after.units == 100
    with pytest.raises(AccountArchived):
        edited(before, account_id=OLD)
    archived = replace(before, account_id=OLD)
    assert edited(archived, notes="still", account_id=OLD).after.notes == "still"


def test_an_amount_changes_both_legs_of_one_currency() -> None:
    first, second = legs()
    result = edited(first, second, amount=Amount("70.00"))
    assert result.other is not None
    assert (result.after.signed, result.other.signed) == (-7000, 7000)
    assert result.other.rev == result.after.rev == 8
    assert edited(first, second, day=date(2026, 1, 1)).other is None, "each leg has its own"
    with pytest.raises(TransactionLinked):
        edited(first, linked(second), amount=Amount("70.00"))
    with pytest.raises(TransactionReconciled):
        edited(first, reconciled(second), amount=Amount("70.00"))
    assert edited(first, reconciled(second), unlock=True, amount=Amount("70.00")).other


def test_a_leg_cannot_go_where_the_other_is_or_turn() -> None:
    first, second = legs()
    assert refused(first, second, account_id=CARD) == "accountId"
    assert refused(first, second, direction="in") == "direction"
    assert edited(first, second, account_id=EURO, amount=Amount("2.00")).other is None
    abroad = replace(second, account_id=EURO, units=200)
    assert refused(abroad, first, account_id=CARD, amount=Amount("2.00")) == "amount"
    assert edited(abroad, first, account_id=CARD, amount=Amount("100.00")).other is None


def test_a_leg_that_becomes_something_else_leaves_the_other_alone() -> None:
    first, second = legs()
    result = edited(first, second, kind="expense", category_id=FOOD)
    assert (result.after.transfer_id, result.after.counterpart_id) == (None, None)
    assert result.other is not None
    assert (result.other.kind, result.other.counterpart_id) == ("transfer", None)
    assert result.other.transfer_id == second.transfer_id
    lone = edited(result.after, kind="transfer").after
    assert (lone.transfer_id, lone.category_id) == ("f" * 24, None)


def test_only_a_refund_says_of_what() -> None:
    refund = made("refund", refund_of="e" * 24)
    assert edited(refund, kind="income").after.refund_of is None
    assert refused(made(), refund_of="e" * 24) == "refundOf"
    assert edited(refund, category_id=FOOD).after.refund_of == "e" * 24
    assert edited(made("income"), category_id=FOOD, refund_of="e" * 24).after.kind == "refund"
