"""Models of exchange rates: documents of the table, and what callers see and send."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeAlias

from msgspec import field

from server.core.model import Model

EURO = "EUR"  # what the ECB's rates are against
FIRST_DAY = date(1999, 1, 1)  # of the euro
Day: TypeAlias = date  # where a field is called `date`
GAP = timedelta(days=7)  # for which a rate also counts on days without one


class EnteredRate(Model, frozen=True):
    """A rate that an admin has entered: how much of its currency one unit of `base` is worth."""

    base: str
    rate: str  # a decimal number


class DayRates(Model, frozen=True):
    """The rates of one day, by currency: how much of it one euro is worth, as the ECB writes it, and entered
    ones. The two are apart, so that loading changes nothing that was entered."""

    id: date
    ecb: dict[str, str] = field(default_factory=dict)
    entered: dict[str, EnteredRate] = field(default_factory=dict)


class TableState(Model, frozen=True):
    """The state of all days together."""

    version: int = 0  # rises with each change of any rate
    ecb: dict[str, date] = field(default_factory=dict)  # the newest day by currency
    entered: dict[str, date] = field(default_factory=dict)  # the same of entered rates
    loaded: tuple[str, ...] = ()  # the newest of what was loaded: releases, and digests of files
    fetched_at: datetime | None = None  # when rates were last loaded from the net

    @property
    def newest(self) -> date | None:
        """The newest day of the ECB's rates."""
        return max(self.ecb.values(), default=None)

    @property
    def currencies(self) -> set[str]:
        """All that any day has a rate of, the euro among them."""
        return {EURO, *self.ecb, *self.entered}


class ExchangeRate(Model, frozen=True):
    """The rate of one currency against a base."""

    currency: str
    rate: str
    rate_date: Day
    source: str


class ExchangeRates(Model, frozen=True):
    """The rates of one day against a base, as callers see them."""

    date: Day
    base: str
    rates: tuple[ExchangeRate, ...]
    rates_as_of: Day
    rates_stale: bool
    etag: str


@dataclass(frozen=True, slots=True)
class RateChange:
    """Rates of one day that an admin enters, by currency, and those to remove."""

    day: date
    base: str
    rates: Mapping[str, str]
    removed: Sequence[str]
    etag: str | None = None  # the revision that it is meant for
