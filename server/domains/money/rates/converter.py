"""Converts amounts into a user's currency, each by the rate of its day. No I/O."""

from dataclasses import dataclass
from datetime import date

from server.core import money
from server.domains.money.rates.table import RateTable


@dataclass(frozen=True, slots=True)
class Converter:
    """Converts amounts of the currencies that it was made for."""

    home: str
    version: int  # of the rates: two converters of one version convert the same
    as_of: (
        date | None
    )  # the oldest of the newest rates of those currencies; None if it needs no rate
    stale: bool  # whether days more than a week after that were converted
    table: RateTable

    def convert(self, units: int, currency: str, day: date) -> int | None:
        """Whole minor units of a day in minor units of the home currency, rounded half to even.

        None if the currency has no rate on that day, or no amounts: then the amount stays unconverted.
        """
        if currency == self.home:
            return units
        rate = self.table.cross(self.home, currency, day)
        mine, its = money.decimals(self.home), money.decimals(currency)
        if rate is None or mine is None or its is None:
            return None
        return half_to_even(units * rate.numerator * 10**mine, rate.denominator * 10**its)


def half_to_even(numerator: int, denominator: int) -> int:
    """The nearest whole number to a ratio, of two that are as near the even one. `denominator` is above 0."""
    whole, rest = divmod(numerator, denominator)
    up = 2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1)
    return whole + up
