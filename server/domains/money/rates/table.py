"""Exchange rates of several currencies over time, and which of them counts on a day. No I/O.

All are ratios of whole numbers. The ECB's rates take 12 bytes a day and currency.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal
from typing import TypeAlias

from server.domains.money.rates.model import EURO, GAP, DayRates

_SHOWN = Context(prec=12)
_GAP = GAP.days


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


# The same inside: numerator, denominator, the day's ordinal number, and whether an admin has entered it. A
# report converts thousands of amounts, so these are tuples.
_Found: TypeAlias = tuple[int, int, int, bool]


class CurrencyRates:
    """All rates of one currency from a day on."""

    def __init__(self, currency: str, since: date, days: Iterable[DayRates]) -> None:
        """`days` are in order. Those before `since` may have gaps."""
        self.since = since
        self._ecb_days = array("i")
        self._entered_days: list[int] = []
        self._entered: list[tuple[str, int, int]] = []  # its base, and the ratio
        found: list[tuple[int, int]] = []
        for day in days:
            if (text := day.ecb.get(currency)) is not None:
                self._ecb_days.append(day.id.toordinal())
                found.append(digits_of(text))
            if (entered := day.entered.get(currency)) is not None:
                self._entered_days.append(day.id.toordinal())
                digits, decimals = digits_of(entered.rate)
                self._entered.append((entered.base, digits, 10**decimals))
        decimals = max((decimals for _, decimals in found), default=0)
        self._ecb = array("q", (digits * 10 ** (decimals - own) for digits, own in found))
        self._ecb_denominator = 10**decimals
        self.newest_of_ecb = self._ecb_days[-1] if self._ecb_days else 0
        self.newest_entered = self._entered_days[-1] if self._entered_days else 0

    @property
    def bases(self) -> set[str]:
        """The currencies that entered rates are against."""
        return {base for base, _, _ in self._entered}

    def of_ecb(self, day: int) -> _Found | None:
        """The ECB's last one up to a day, however old."""
        place = bisect_right(self._ecb_days, day) - 1
        if place < 0:
            return None
        return self._ecb[place], self._ecb_denominator, self._ecb_days[place], False

    def of_admin(self, day: int) -> tuple[str, _Found] | None:
        """The last entered one up to a day, however old, with the currency that it is against."""
        place = bisect_right(self._entered_days, day) - 1
        if place < 0:
            return None
        base, numerator, denominator = self._entered[place]
        return base, (numerator, denominator, self._entered_days[place], True)


class RateTable:
    """Which rate counts on a day.

    It is the last one up to the day, an entered one before the ECB's, if it is at most 7 days old. After a
    currency's newest rate that one counts, however old; but not if the ECB has newer rates of others and none
    of it any more.
    """

    def __init__(self, newest: date | None, currencies: Mapping[str, CurrencyRates]) -> None:
        """`newest` is the ECB's newest day, of whatever currency."""
        self._newest = newest.toordinal() if newest is not None else 0
        self._currencies = currencies

    def cross(self, currency: str, base: str, day: date) -> Rate | None:
        """How much of a currency one unit of `base` is worth on a day; None if that is not known."""
        number = day.toordinal()
        one = self._rate(currency, number)
        other = one if base == currency else self._rate(base, number)
        if one is None or other is None:
            return None
        on = date.fromordinal(min(one[2], other[2]))
        return Rate(one[0] * other[1], one[1] * other[0], on, one[3] or other[3])

    def ratio(self, currency: str, base: str, day: date) -> tuple[int, int] | None:
        """The same without more."""
        number = day.toordinal()
        one, other = self._rate(currency, number), self._rate(base, number)
        if one is None or other is None:
            return None
        return one[0] * other[1], one[1] * other[0]

    def has_ecb_rate(self, currency: str, day: date) -> bool:
        """Whether other rates of the day may be against this currency."""
        return self._of_ecb(currency, day.toordinal()) is not None

    def newest(self, currency: str) -> date | None:
        """The day of the newest rate of a currency that has rates still; None for any other."""
        rates = self._currencies.get(currency)
        if rates is None:
            return None
        if rates.newest_entered and rates.newest_entered >= rates.newest_of_ecb:
            return date.fromordinal(rates.newest_entered)
        ecb = rates.newest_of_ecb
        return date.fromordinal(ecb) if ecb and self._goes_on(ecb) else None

    def _rate(self, currency: str, day: int) -> _Found | None:
        """How much of a currency one euro is worth on a day; None if that is not known."""
        if currency == EURO:
            return 1, 1, day, False
        rates = self._currencies.get(currency)
        if rates is None:
            return None
        ecb, entered = rates.of_ecb(day), rates.of_admin(day)
        if entered is None or (ecb is not None and ecb[2] > entered[1][2]):
            return ecb if ecb is not None and self._counts(rates, ecb, day) else None
        base, rate = entered
        against = self._of_ecb(base, day)
        if against is None or not self._counts(rates, rate, day):
            return None
        return rate[0] * against[0], rate[1] * against[1], min(rate[2], against[2]), True

    def _of_ecb(self, currency: str, day: int) -> _Found | None:
        """The same of the ECB's alone: what entered ones are against."""
        if currency == EURO:
            return 1, 1, day, False
        rates = self._currencies.get(currency)
        found = rates.of_ecb(day) if rates is not None else None
        if rates is None or found is None or day - found[2] <= _GAP:
            return found
        return found if found[2] == rates.newest_of_ecb and self._goes_on(found[2]) else None

    def _counts(self, rates: CurrencyRates, rate: _Found, day: int) -> bool:
        if day - rate[2] <= _GAP:
            return True
        newest = max(rates.newest_of_ecb, rates.newest_entered)
        return rate[2] == newest and (rate[3] or self._goes_on(newest))

    def _goes_on(self, newest: int) -> bool:
        """Whether the ECB goes on with a currency whose newest rate is of this day."""
        return self._newest - newest <= _GAP


def tables_of(
    currencies: Iterable[str], since: date, days: Sequence[DayRates]
) -> dict[str, CurrencyRates]:
    """The rates of each currency, of documents in order that are complete from a day on."""
    return {each: CurrencyRates(each, since, days) for each in currencies}
