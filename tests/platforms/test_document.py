from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from server.platforms.base import PlatformDataError
from server.platforms.document import Node, parse, plain
from server.platforms.records import Money


def node(value: object) -> Node:
    return Node(value, "call")


@pytest.mark.parametrize(
    ("given", "spelled"),
    [
        ("1499", "1499"),
        ("1499.00", "1499"),
        ("1E3", "1000"),
        ("0.3000000000000114", "0.3000000000000114"),
        ("-0.0", "0"),
        ("0.00000010", "0.0000001"),
    ],
)
def test_a_number_is_kept_exactly_and_in_plain_notation(given: str, spelled: str) -> None:
    number = plain(Decimal(given))
    assert number is not None
    assert format(number, "f") == spelled
    assert number.as_tuple().exponent in range(-30, 1)


@pytest.mark.parametrize("given", ["NaN", "Infinity", "1E999999", "1E-999999", "1" * 40])
def test_a_number_out_of_all_bounds_is_refused(given: str) -> None:
    assert plain(Decimal(given)) is None


def test_json_numbers_lose_nothing_on_the_way() -> None:
    document = parse('{"price": 10.300000190734863, "units": 37.29505702070263}', "call")
    assert document.get("price").number() == Decimal("10.300000190734863")
    assert document.get("units").number() == Decimal("37.29505702070263")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no accounts connected",
        "{",
        '{"a": NaN}',
        pytest.param("[" * 100_000, id="too deep"),
        pytest.param("9" * 5000, id="too long a number"),
        "1e9999999999999999999",
    ],
)
def test_what_is_not_json_is_a_data_error_that_quotes_nothing(text: str) -> None:
    with pytest.raises(PlatformDataError, match=r"^fetch_it: expected a JSON document$"):
        parse(text, "fetch_it")


@pytest.mark.parametrize(
    ("given", "money"),
    [
        (
            {"currencyCode": "INR", "units": "1250", "nanos": 750000000},
            Money(Decimal("1250.75"), "INR"),
        ),
        (
            {"currencyCode": "INR", "units": "-3103", "nanos": -455000000},
            Money(Decimal("-3103.455"), "INR"),
        ),
        ({"currencyCode": "USD", "nanos": 10000000}, Money(Decimal("0.01"), "USD")),
        ({"units": "2900"}, Money(Decimal(2900), None)),
        ({}, Money(Decimal(0), None)),
    ],
)
def test_money_in_units_and_nanos(given: object, money: Money) -> None:
    assert node(given).money() == money


@pytest.mark.parametrize(
    "given",
    [
        None,
        "1250",
        [],
        {"units": "12.5"},
        {"units": True},
        {"units": "1", "nanos": "5"},
        {"units": "1", "nanos": 10**9},
        {"units": "1", "currencyCode": "rupees"},
        {"units": "9" * 19},
    ],
)
def test_money_of_another_shape_is_refused(given: object) -> None:
    with pytest.raises(PlatformDataError):
        node(given).money()


@pytest.mark.parametrize(
    ("given", "instant"),
    [
        ("2026-02-03 10:02:11", datetime(2026, 2, 3, 4, 32, 11, tzinfo=UTC)),
        ("2026-02-03T10:02:11", datetime(2026, 2, 3, 4, 32, 11, tzinfo=UTC)),
        ("2026-02-03T10:02:11+05:30", datetime(2026, 2, 3, 4, 32, 11, tzinfo=UTC)),
        ("2026-02-03T04:32:11Z", datetime(2026, 2, 3, 4, 32, 11, tzinfo=UTC)),
        ("", None),
    ],
)
def test_a_time_without_a_zone_is_indian(given: str, instant: datetime | None) -> None:
    assert node(given).instant() == instant


@pytest.mark.parametrize(
    "given",
    ["10:02:10", "2026-02-03", "2026-13-03 10:00:00", "20260203T100000", "0001-01-01 00:00:00", 5],
)
def test_a_time_of_another_form_is_refused(given: object) -> None:
    with pytest.raises(PlatformDataError):
        node(given).instant()


def test_a_day_may_be_given_as_midnight_in_india() -> None:
    assert node("2025-09-09T18:30:00Z").day_or_instant() == date(2025, 9, 10)
    assert node("2025-09-10").day_or_instant() == date(2025, 9, 10)
    assert node("").day_or_instant() is None


def test_an_error_says_where_and_what_and_no_value() -> None:
    document = parse('{"rows": [{"isin": 12345678}]}', "fetch_it")
    with pytest.raises(PlatformDataError) as caught:
        next(document.get("rows").each()).get("isin").text()
    assert str(caught.value) == "fetch_it.rows[].isin: expected a string"


def test_map_keys_are_data_and_stay_out_of_places() -> None:
    _, account = next(node({"4711-secret": 1}).members())
    assert account.place == "call[]"


def test_a_lone_surrogate_becomes_something_storable() -> None:
    assert parse(r'"PAY\ud800MENT"', "call").text() == "PAY?MENT"
