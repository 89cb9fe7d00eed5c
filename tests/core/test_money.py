"""Amounts of money: exact, with each currency's decimals."""

from __future__ import annotations

from decimal import Decimal

import pytest
from finlink.types.v1 import money_pb2
from hypothesis import given
from hypothesis import strategies as st

from server.core import money
from server.core.errors import InvalidRequest
from server.core.money import Money
from server.rpc.validation import Validation

CURRENCIES = ("INR", "JPY", "KWD", "CLF", "HUF", "KRW")


@pytest.mark.parametrize(
    ("value", "currency", "units", "printed"),
    [
        ("12", "INR", 1200, "12.00"), ("12.5", "INR", 1250, "12.50"), ("-0.05", "INR", -5, "-0.05"),
        ("1500", "JPY", 1500, "1500"), ("500000", "KRW", 500000, "500000"), ("12.50", "HUF", 1250, "12.50"),
        ("10.000", "KWD", 10000, "10.000"), ("0.0001", "CLF", 1, "0.0001"), ("-0", "INR", 0, "0.00"),
        ("999999999999999.99", "INR", 99999999999999999, "999999999999999.99"),
    ],
)  # fmt: skip
def test_is_read_and_printed_exactly(value: str, currency: str, units: int, printed: str) -> None:
    found = money.parse(value, currency)
    assert found == Money(units, currency)
    assert found.value == printed


@pytest.mark.parametrize(
    ("value", "currency", "field", "message"),
    [
        ("1.005", "INR", "amount.value", "must have at most 2 decimals, as INR has"),
        ("1.5", "JPY", "amount.value", "must have no decimals, as JPY has"),
        ("-0.001", "INR", "amount.value", "must have at most 2 decimals, as INR has"),
        ("1e3", "INR", "amount.value", "must be a decimal number in a string, as 1250.75"),
        ("+5", "INR", "amount.value", "must be a decimal number in a string, as 1250.75"),
        ("1,000", "INR", "amount.value", "must be a decimal number in a string, as 1250.75"),
        ("", "INR", "amount.value", "must be a decimal number in a string, as 1250.75"),
        ("05", "INR", "amount.value", "must be a decimal number in a string, as 1250.75"),
        ("٣", "INR", "amount.value", "must be a decimal number in a string, as 1250.75"),
        ("1", "XAU", "amount.currency", "must be an ISO 4217 currency code that has amounts, as INR"),
        ("1", "inr", "amount.currency", "must be an ISO 4217 currency code that has amounts, as INR"),
    ],
)  # fmt: skip
def test_a_bad_amount_is_named(value: str, currency: str, field: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        money.parse(value, currency)
    assert [(error.field, error.message) for error in refused.value.fields] == [(field, message)]
    sent = money_pb2.Money(value=value, currency=currency)
    (error,) = Validation(sent.DESCRIPTOR).check(sent)
    assert (f"amount.{error.field}", error.message) == (field, message)


@given(st.integers(-(10**18), 10**18), st.sampled_from(CURRENCIES))
def test_what_is_printed_is_read_again(units: int, currency: str) -> None:
    assert Decimal(money.text(units, currency)).scaleb(money.decimals(currency) or 0) == units
    assert money.of_decimal(Decimal(money.text(units, currency)), currency) == Money(
        units, currency
    )


def test_a_platforms_number_must_fit() -> None:
    assert money.of_decimal(Decimal("10.500"), "INR") == Money(1050, "INR")
    assert money.of_decimal(Decimal("10.505"), "INR") is None
    assert money.of_decimal(Decimal(1), "XAU") is None
    assert money.of_decimal(Decimal("NaN"), "INR") is None


@pytest.mark.parametrize(
    ("units", "weights", "parts"),
    [
        (10000, [1, 1, 1], [3334, 3333, 3333]), (100, [1, 1, 1], [34, 33, 33]), (5, [1, 2, 3], [1, 2, 2]),
        (-100, [1, 1, 1], [-34, -33, -33]), (0, [1, 1], [0, 0]), (7, [0, 1], [0, 7]),
    ],
)  # fmt: skip
def test_shares_add_up(units: int, weights: list[int], parts: list[int]) -> None:
    assert money.shares(units, weights) == parts


@given(st.integers(-(10**15), 10**15), st.lists(st.integers(0, 10**6), min_size=1, max_size=50))
def test_shares_are_exact_and_fair(units: int, weights: list[int]) -> None:
    if not sum(weights):
        with pytest.raises(ValueError, match="weights"):
            money.shares(units, weights)
        return
    parts = money.shares(units, weights)
    assert sum(parts) == units
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - units * weight) < sum(weights)
