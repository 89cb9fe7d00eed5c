"""Amounts are converted exactly, each by the rate of its day."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core import money
from server.domains.money.rates.converter import half_to_even
from server.domains.money.rates.model import DayRates, EnteredRate
from server.domains.money.rates.table import Rate
from tests.cases import examples
from tests.domains.money.rates.samples import MONDAY, converter_of, day, table_of

WEEK = timedelta(days=7)


@pytest.mark.parametrize(
    ("numerator", "denominator", "whole"),
    [
        (5, 2, 2), (7, 2, 4), (-5, 2, -2), (-7, 2, -4), (1, 2, 0), (-1, 2, 0), (3, 2, 2), (-3, 2, -2),
        (0, 7, 0), (10, 4, 2), (14, 4, 4), (251, 100, 3), (249, 100, 2), (-251, 100, -3), (6, 3, 2),
    ],
)  # fmt: skip
def test_half_goes_to_the_even_one(numerator: int, denominator: int, whole: int) -> None:
    assert half_to_even(numerator, denominator) == whole


def test_the_currency_s_decimals_count() -> None:
    rates = {0: "INR 90, USD 1.2, JPY 180, KWD 0.36, CLF 0.03"}
    assert converter_of("INR", rates).convert(1_00, "USD", day(0)) == 75_00
    assert converter_of("INR", rates).convert(1_500, "JPY", day(0)) == 750_00
    assert converter_of("JPY", rates).convert(1_00, "USD", day(0)) == 150
    assert converter_of("KWD", rates).convert(1_00, "USD", day(0)) == 300
    assert converter_of("USD", rates).convert(1_000, "KWD", day(0)) == 3_33
    assert converter_of("CLF", rates).convert(1_00, "EUR", day(0)) == 300
    assert converter_of("EUR", rates).convert(-90_00, "INR", day(0)) == -1_00


def test_the_home_currency_needs_no_rate() -> None:
    assert converter_of("AED", {}).convert(12_34, "AED", day(0)) == 12_34


def test_a_currency_without_a_rate_stays_as_it_is() -> None:
    converter = converter_of("INR", {0: "INR 90, USD 1.2"})
    assert converter.convert(1_00, "AED", day(0)) is None
    assert converter_of("AED", {0: "INR 90"}).convert(1_00, "INR", day(0)) is None
    assert converter.convert(1, "XAU", day(0)) is None
    assert converter.convert(1_00, "USD", day(-1)) is None, "before the first rate"


def test_a_day_without_rate_takes_the_last_one_within_a_week() -> None:
    converter = converter_of("EUR", {0: "USD 2", 20: "USD 4"})
    shown = {number: converter.convert(8_00, "USD", day(number)) for number in (0, 1, 7, 8, 19, 20)}
    assert shown == {0: 4_00, 1: 4_00, 7: 4_00, 8: None, 19: None, 20: 2_00}


def test_after_the_newest_rate_that_one_counts() -> None:
    converter = converter_of("EUR", {0: "USD 2", 20: "USD 4"})
    assert converter.convert(8_00, "USD", day(2_000)) == 2_00


def test_a_currency_that_the_ecb_has_no_more_does_not_go_on() -> None:
    """As RUB since 2022, and BGN since Bulgaria has the euro."""
    days = dict.fromkeys(range(40), "USD 2") | {0: "RUB 60, USD 2"}
    converter = converter_of("EUR", days)
    assert converter.convert(60_00, "RUB", day(7)) == 1_00
    assert converter.convert(60_00, "RUB", day(8)) is None
    assert converter.convert(60_00, "RUB", day(400)) is None
    assert converter.convert(2_00, "USD", day(400)) == 1_00


def test_an_entered_rate_counts_in_place_of_the_ecb_s() -> None:
    converter = converter_of("EUR", {0: "USD 2", 1: "USD 2, USD/EUR 4", 2: "USD 2"})
    amounts = [converter.convert(8_00, "USD", day(number)) for number in (0, 1, 2)]
    assert amounts == [4_00, 2_00, 4_00]


def test_what_was_entered_last_goes_on_however_old() -> None:
    converter = converter_of(
        "EUR", {0: "USD 2, AED/USD 3.5", **dict.fromkeys(range(1, 99), "USD 2")}
    )
    assert converter.convert(7_00, "AED", day(90)) == 1_00
    assert converter.convert(7_00, "AED", day(-1)) is None
    between = converter_of("EUR", {0: "AED/EUR 3.5", 50: "AED/EUR 7"})
    assert between.convert(7_00, "AED", day(7)) == 2_00
    assert between.convert(7_00, "AED", day(8)) is None
    assert between.convert(7_00, "AED", day(400)) == 1_00


def test_an_entered_rate_follows_the_ecb_s_rate_of_its_base() -> None:
    """A pegged currency is right on every day, though it was entered once."""
    days = {0: "USD 1, INR 80, AED/USD 3.6725", 30: "USD 1.25, INR 110", 31: "USD 1.25, INR 100"}
    dirham = converter_of("USD", days)
    assert {dirham.convert(3_672_50, "AED", day(n)) for n in (0, 3, 30, 31, 400)} == {1_000_00}
    rupee = converter_of("INR", days)
    assert rupee.convert(36_725_00, "AED", day(31)) == 800_000_00
    # Of the base no rate is known on that day.
    assert dirham.convert(3_672_50, "AED", day(20)) is None


def test_the_base_s_rate_is_the_ecb_s_also_where_another_was_entered() -> None:
    """Two rates that are against each other would have no end."""
    converter = converter_of("EUR", {0: "USD 2, INR 90, USD/INR 0.5, INR/USD 4"})
    assert converter.convert(8_00, "INR", day(0)) == 1_00
    assert converter.convert(45_00, "USD", day(0)) == 1_00


def test_rates_are_shown_exactly_or_by_12_digits() -> None:
    table = table_of({0: "INR 106.084, USD 1.1172, IDR 20275.17, TRL 1858940"})
    shown = {
        (currency, base): rate.text
        for currency, base in [("INR", "EUR"), ("EUR", "INR"), ("INR", "USD"), ("TRL", "EUR"), ("USD", "IDR")]
        if (rate := table.cross(currency, base, day(3)))
    }  # fmt: skip
    assert shown == {
        ("INR", "EUR"): "106.084",
        ("EUR", "INR"): "0.00942649221372",
        ("INR", "USD"): "94.955245256",
        ("TRL", "EUR"): "1858940",
        ("USD", "IDR"): "0.0000551018807734",
    }
    assert table.cross("INR", "USD", day(3)) == Rate(
        106_084 * 10**4, 10**3 * 11_172, MONDAY, entered=False
    )


# A plain model: all that was said in one list, searched from the end, in decimal numbers of 200 digits.
CURRENCIES = ("USD", "INR", "JPY", "KWD", "AED")
NUMBERS = st.decimals("0.000001", "999999999", places=6).map(lambda number: f"{number:f}")
ECB = st.dictionaries(st.sampled_from(CURRENCIES[:4]), NUMBERS, max_size=4)
ENTERED = st.dictionaries(
    st.sampled_from(CURRENCIES),
    st.builds(EnteredRate, st.sampled_from(("EUR", "USD", "INR")), NUMBERS),
    max_size=2,
)
OFFSETS = st.integers(0, 45)
TABLES = st.dictionaries(OFFSETS, st.tuples(ECB, ENTERED), max_size=12)


class Plain:
    def __init__(self, days: list[DayRates]) -> None:
        self.days = days

    def ecb(self, currency: str, on: date) -> Decimal | None:
        if currency == "EUR":
            return Decimal(1)
        said = [each.id for each in self.days if currency in each.ecb]
        before = [each for each in self.days if currency in each.ecb and each.id <= on]
        if not before:
            return None
        last = before[-1]
        still = self.newest() - last.id <= WEEK
        if on - last.id > WEEK and not (last.id == said[-1] and still):
            return None
        return Decimal(last.ecb[currency])

    def newest(self) -> date:
        return max(each.id for each in self.days if each.ecb)

    def rate(self, currency: str, on: date) -> Decimal | None:
        if currency == "EUR":
            return Decimal(1)
        said = [each for each in self.days if currency in each.ecb or currency in each.entered]
        before = [each for each in said if each.id <= on]
        if not before:
            return None
        last = before[-1]
        if currency not in last.entered:
            fits = on - last.id <= WEEK or (last == said[-1] and self.newest() - last.id <= WEEK)
            return Decimal(last.ecb[currency]) if fits else None
        if on - last.id > WEEK and last != said[-1]:
            return None
        entered = last.entered[currency]
        base = self.ecb(entered.base, on)
        return None if base is None else base * Decimal(entered.rate)

    def convert(self, home: str, units: int, currency: str, on: date) -> int | None:
        if home == currency:
            return units
        mine, its = self.rate(home, on), self.rate(currency, on)
        if mine is None or its is None:
            return None
        amount = Decimal(units).scaleb(-(money.decimals(currency) or 0)) * mine / its
        whole = amount.scaleb(money.decimals(home) or 0)
        return int(whole.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


@examples(500, few=50)
@given(
    table=TABLES,
    home=st.sampled_from((*CURRENCIES, "EUR", "SAR")),
    currency=st.sampled_from((*CURRENCIES, "EUR", "SAR")),
    units=st.integers(-(10**17), 10**17),
    on=st.integers(-10, 90),
)
def test_converts_as_a_plain_model_does(
    table: dict[int, tuple[dict[str, str], dict[str, EnteredRate]]],
    home: str,
    currency: str,
    units: int,
    on: int,
) -> None:
    days = [DayRates(day(number), *table[number]) for number in sorted(table)]
    words = {
        number: ", ".join(
            [f"{each} {rate}" for each, rate in ecb.items()]
            + [f"{each}/{rate.base} {rate.rate}" for each, rate in entered.items()]
        )
        for number, (ecb, entered) in table.items()
    }
    with localcontext(prec=200):
        expected = Plain(days).convert(home, units, currency, day(on))
    assert converter_of(home, words).convert(units, currency, day(on)) == expected


@given(
    units=st.integers(-(10**17), 10**17),
    rate=st.sampled_from(["2", "4", "8", "0.5", "1.6", "2000"]),
)
def test_ties_are_rounded_as_decimal_numbers_are(units: int, rate: str) -> None:
    """Rates of which many conversions end in exactly a half."""
    with localcontext(prec=60):
        expected = (Decimal(units) / Decimal(rate)).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
    assert converter_of("EUR", {0: f"USD {rate}"}).convert(units, "USD", day(0)) == int(expected)
