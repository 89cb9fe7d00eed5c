"""What becomes of a new transaction, and what is refused by which field."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from server.core.errors import InvalidRequest
from server.domains.money.accounts.errors import AccountArchived, AccountNotFound
from server.domains.money.categories.errors import CategoryNotFound
from server.domains.money.transactions.creation import created
from server.domains.money.transactions.model import Amount, Foreign, NewPart, Part
from tests.domains.money.transactions.samples import (
    BANK,
    CARD,
    EURO,
    FACTS,
    FOOD,
    MAKING,
    OLD,
    RENT,
    TODAY,
    WAGE,
    YEN,
    legs,
    made,
    new,
)


def refused(**given: Any) -> tuple[str, str]:
    with pytest.raises(InvalidRequest) as raised:
        created(new(**given), FACTS, MAKING)
    (wrong,) = raised.value.fields
    return wrong.field, wrong.message


@pytest.mark.parametrize(
    ("kind", "direction", "signed"),
    [
        ("expense", None, -10000),
        ("income", None, 10000),
        ("refund", None, 10000),
        ("transfer", None, -10000),
        ("transfer", "in", 10000),
        ("adjustment", "in", 10000),
        ("adjustment", "out", -10000),
    ],
)
def test_the_direction_follows_from_the_kind(kind: str, direction: Any, signed: int) -> None:
    transaction = made(kind, direction=direction)
    assert transaction.signed == signed
    assert transaction.entry.units == signed
    assert transaction.day == TODAY
    assert (transaction.transfer_id is not None) == (kind == "transfer")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"kind": "adjustment"}, "direction"),
        ({"kind": "expense", "direction": "in"}, "direction"),
        ({"kind": "refund", "direction": "out"}, "direction"),
        ({"value": "0.00"}, "amount.value"),
        ({"value": "-5.00"}, "amount.value"),
        ({"value": "1.005"}, "amount.value"),
        ({"value": "1.5", "account_id": YEN}, "amount.value"),
        ({"amount": Amount("1.00", "EUR")}, "amount.currency"),
        ({"category_id": WAGE}, "categoryId"),
        ({"kind": "income", "category_id": FOOD}, "categoryId"),
        ({"kind": "refund", "category_id": WAGE}, "categoryId"),
        ({"kind": "transfer", "category_id": FOOD}, "categoryId"),
        ({"kind": "adjustment", "direction": "in", "category_id": FOOD}, "categoryId"),
        ({"refund_of": "e" * 24}, "refundOf"),
        ({"to_account_id": CARD}, "toAccountId"),
        ({"kind": "transfer", "to_account_id": BANK}, "toAccountId"),
        ({"kind": "transfer", "to_account_id": CARD, "direction": "in"}, "direction"),
        ({"kind": "transfer", "to_amount": Amount("1.00")}, "toAccountId"),
        ({"kind": "transfer", "to_day": TODAY}, "toAccountId"),
        ({"to_day": TODAY}, "toDate"),
        ({"kind": "transfer", "to_account_id": EURO}, "toAmount"),
        (
            {"kind": "transfer", "to_account_id": CARD, "to_amount": Amount("99.00")},
            "toAmount.value",
        ),
        ({"foreign": Amount("3.00")}, "foreignAmount.currency"),
        ({"foreign": Amount("3.001", "EUR")}, "foreignAmount.value"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], field: str) -> None:
    assert refused(**given)[0] == field


def test_what_does_not_exist_is_not_found() -> None:
    with pytest.raises(AccountNotFound):
        made(account_id="nobody's")
    with pytest.raises(AccountArchived):
        made(account_id=OLD)
    with pytest.raises(AccountArchived):
        made("transfer", to_account_id=OLD)
    with pytest.raises(CategoryNotFound):
        made(category_id="nobody's")


def test_splits_add_up_exactly() -> None:
    values = ("110.11", "209.74", "104.87", "89.14", "10.49")
    parts = tuple(NewPart(Amount(value), FOOD) for value in values)
    assert refused(value="524.34", parts=parts) == (
        "splits",
        "add up to 524.35, 0.01 more than 524.34",
    )
    assert refused(value="524.36", parts=parts)[1] == "add up to 524.35, 0.01 less than 524.36"
    transaction = made(value="524.35", parts=parts)
    assert sum(part.units for part in transaction.parts) == transaction.units == 52435
    assert transaction.entry.parts[0] == (FOOD, -11011)


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ((NewPart(Amount("100.00"), FOOD),), "splits"),
        ((NewPart(Amount("50.00"), FOOD), NewPart(Amount("50.00"), WAGE)), "splits[1].categoryId"),
        ((NewPart(Amount("100.00"), FOOD), NewPart(Amount("0.00"))), "splits[1].amount.value"),
        (
            (NewPart(Amount("50.00", "EUR"), FOOD), NewPart(Amount("50.00"))),
            "splits[0].amount.currency",
        ),
    ],
)
def test_a_wrong_part_is_named(parts: tuple[NewPart, ...], field: str) -> None:
    assert refused(parts=parts)[0] == field


def test_splits_stand_in_place_of_a_category() -> None:
    parts = (NewPart(Amount("60.00"), FOOD, "Lunch"), NewPart(Amount("40.00")))
    assert refused(parts=parts, category_id=RENT)[0] == "splits"
    assert refused(kind="transfer", parts=parts)[0] == "splits"
    assert made(parts=parts).parts == (Part(6000, FOOD, "Lunch"), Part(4000))


def test_a_transfer_between_own_accounts_has_two_legs() -> None:
    first, second = legs(day=date(2026, 11, 1), to_day=date(2026, 11, 3), external_id="x")
    assert (first.account_id, second.account_id) == (BANK, CARD)
    assert (first.signed, second.signed) == (-10000, 10000)
    assert (first.day, second.day) == (date(2026, 11, 1), date(2026, 11, 3))
    assert first.transfer_id == second.transfer_id
    assert (first.counterpart_id, second.counterpart_id) == (second.id, first.id)
    assert second.external_id is None, "it is of one account"


def test_a_transfer_between_currencies_says_what_arrives() -> None:
    given = new("transfer", "9000.00", to_account_id=EURO, to_amount=Amount("100.50", "EUR"))
    first, second = created(given, FACTS, MAKING)
    assert (first.units, second.units) == (900000, 10050)


def test_an_amount_in_another_currency_is_for_showing() -> None:
    assert made(foreign=Amount("1.5", "KWD")).foreign == Foreign(1500, "KWD")
