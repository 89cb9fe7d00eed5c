"""Days of rates for tests, and converters of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from server.domains.money.rates.converter import Converter
from server.domains.money.rates.model import DayRates, EnteredRate
from server.domains.money.rates.table import RateTable, tables_of

MONDAY = date(2026, 10, 5)
# Days in order, each a word: `USD 1.1` is the ECB's, `AED/USD 3.6725` was entered.
Words = Mapping[date, str]


def day(number: int) -> date:
    """Days after a Monday."""
    return MONDAY + timedelta(days=number)


def day_rates(on: date, words: str) -> DayRates:
    ecb: dict[str, str] = {}
    entered: dict[str, EnteredRate] = {}
    for word in filter(None, words.split(", ")):
        name, rate = word.split()
        currency, _, base = name.partition("/")
        if base:
            entered[currency] = EnteredRate(base, rate)
        else:
            ecb[currency] = rate
    return DayRates(on, ecb, entered)


def table_of(days: Mapping[int, str]) -> RateTable:
    """By days after the Monday."""
    documents = [day_rates(day(number), words) for number, words in sorted(days.items())]
    currencies = {each for found in documents for each in (*found.ecb, *found.entered)}
    newest = max((found.id for found in documents if found.ecb), default=None)
    since = documents[0].id if documents else MONDAY
    return RateTable(newest, tables_of(currencies, since, documents))


def converter_of(home: str, days: Mapping[int, str]) -> Converter:
    return Converter(home, 1, None, table_of(days))
