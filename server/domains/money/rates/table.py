"""Exchange rates of several currencies over time, and which of them counts on a day. No I/O.

All are ratios of whole numbers. What the ECB says is kept in 12 bytes a day and currency.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal

from server.domains.money.rates.model import EURO, GAP, DayRates

_SHOWN = Context(prec=12)


@dataclass(frozen=True, slots=True)
class Rate:
    """How much of one currency one unit of another is worth, as a ratio."""

    numerator: int
    denominator: int
    day: date  # that it is of; of one that follows from several, the oldest of their days
    entered: bool = False  # by an admin

    @property
    def text(self) -> str:
        """As a decimal number, cut to 12 digits if it has more."""
        value = _SHOWN.divide(Decimal(self.numerator), Decimal(self.denominator))
        shown = f"{value:f}"
        return shown.rstrip("0").rstrip(".") if "." in shown else shown


def digits_of(number: str) -> tuple[int, int]:
    """A decimal number as whole digits and how many of them are decimals: 3.6725 is 36725 and 4."""
    whole, _, part = number.partition(".")
    return int(whole + part), len(part)


class CurrencyRates:
    """All rates of one currency from a day on."""

    def __init__(self, currency: str, since: date, days: Iterable[DayRates]) -> None:
        """`days` are in order. Those before `since` may have gaps."""
        self.since = since
        self._ecb_days = array("i")
        self._entered_days: list[int] = []
        self._entered: list[
            tuple[str, int, int]
        ] = []  # its base, digits, and how many are decimals
        found: list[tuple[int, int]] = []
        for day in days:
            if (text := day.ecb.get(currency)) is not None:
                self._ecb_days.append(day.id.toordinal())
                found.append(digits_of(text))
            if (entered := day.entered.get(currency)) is not None:
                self._entered_days.append(day.id.toordinal())
                self._entered.append((entered.base, *digits_of(entered.rate)))
        self._decimals = max((decimals for _, decimals in found), default=0)
        self._ecb = array("q", (n * 10 ** (self._decimals - decimals) for n, decimals in found))

    @property
    def bases(self) -> set[str]:
        """The currencies that entered rates are against."""
        return {base for base, _, _ in self._entered}

    @property
    def newest_of_ecb(self) -> date | None:
        return date.fromordinal(self._ecb_days[-1]) if self._ecb_days else None

    @property
    def newest_entered(self) -> date | None:
        return date.fromordinal(self._entered_days[-1]) if self._entered_days else None

    def of_ecb(self, day: date) -> Rate | None:
        """The ECB's last one up to a day, however old."""
        place = bisect_right(self._ecb_days, day.toordinal()) - 1
        if place < 0:
            return None
        on = date.fromordinal(self._ecb_days[place])
        return Rate(self._ecb[place], 10**self._decimals, on)

    def of_admin(self, day: date) -> tuple[str, Rate] | None:
        """The last entered one up to a day, however old, with the currency that it is against."""
        place = bisect_right(self._entered_days, day.toordinal()) - 1
        if place < 0:
            return None
        base, digits, decimals = self._entered[place]
        on = date.fromordinal(self._entered_days[place])
        return base, Rate(digits, 10**decimals, on, entered=True)


class RateTable:
    """Which rate counts on a day.

    It is the last one up to the day, an entered one before the ECB's, if it is at most 7 days old. After a
    currency's newest rate that one counts, however old; but not if the ECB has newer rates of others and none
    of it any more.
    """

    def __init__(self, newest: date | None, currencies: Mapping[str, CurrencyRates]) -> None:
        """`newest` is the ECB's newest day, of whatever currency."""
        self._newest = newest
        self._currencies = currencies

    def cross(self, currency: str, base: str, day: date) -> Rate | None:
        """How much of a currency one unit of `base` is worth on a day; None if that is not known."""
        if currency == base:
            return Rate(1, 1, day)
        one, other = self.rate(currency, day), self.rate(base, day)
        if one is None or other is None:
            return None
        return Rate(
            one.numerator * other.denominator,
            one.denominator * other.numerator,
            min(one.day, other.day),
            one.entered or other.entered,
        )

    def rate(self, currency: str, day: date) -> Rate | None:
        """How much of a currency one euro is worth on a day; None if that is not known."""
        if currency == EURO:
            return Rate(1, 1, day)
        rates = self._currencies.get(currency)
        if rates is None:
            return None
        ecb, entered = rates.of_ecb(day), rates.of_admin(day)
        if entered is None or (ecb is not None and ecb.day > entered[1].day):
            return ecb if ecb is not None and self._counts(rates, ecb, day) else None
        base, rate = entered
        against = self.of_ecb(base, day)
        if against is None or not self._counts(rates, rate, day):
            return None
        return Rate(
            rate.numerator * against.numerator,
            rate.denominator * against.denominator,
            min(rate.day, against.day),
            entered=True,
        )

    def newest(self, currency: str) -> date | None:
        """The day of the newest rate of a currency that has rates still; None for any other."""
        rates = self._currencies.get(currency)
        if rates is None:
            return None
        ecb, entered = rates.newest_of_ecb, rates.newest_entered
        if entered is not None and (ecb is None or entered >= ecb):
            return entered
        return ecb if ecb is not None and self._has_ecb_still(ecb) else None

    def of_ecb(self, currency: str, day: date) -> Rate | None:
        """The same as `rate` of the ECB's alone: what entered ones are against."""
        if currency == EURO:
            return Rate(1, 1, day)
        rates = self._currencies.get(currency)
        found = rates.of_ecb(day) if rates is not None else None
        if rates is None or found is None or day - found.day <= GAP:
            return found
        is_newest = found.day == rates.newest_of_ecb
        return found if is_newest and self._has_ecb_still(found.day) else None

    def _counts(self, rates: CurrencyRates, rate: Rate, day: date) -> bool:
        if day - rate.day <= GAP:
            return True
        newest = max(filter(None, (rates.newest_of_ecb, rates.newest_entered)))
        return rate.day == newest and (rate.entered or self._has_ecb_still(newest))

    def _has_ecb_still(self, newest: date) -> bool:
        """Whether the ECB goes on with a currency whose newest rate is of this day."""
        return self._newest is None or self._newest - newest <= GAP


def tables_of(
    currencies: Iterable[str], since: date, days: Sequence[DayRates]
) -> dict[str, CurrencyRates]:
    """The rates of each currency, of documents in order that are complete from a day on."""
    return {each: CurrencyRates(each, since, days) for each in currencies}
