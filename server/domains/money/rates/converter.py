"""Converts amounts into a user's currency, each by the rate of its day. No I/O."""

from datetime import date

from server.core import money
from server.domains.money.rates.table import RateTable


class Converter:
    """Converts amounts of the currencies that it was made for.

    `version` is that of the rates: two converters of one version convert the same. `as_of` is the oldest of
    the newest rates of those currencies, None if it needs no rate; `stale`, whether days more than a week
    after it were asked for.
    """

    def __init__(
        self, home: str, version: int, as_of: date | None, table: RateTable, *, stale: bool = False
    ) -> None:
        self.home = home
        self.version = version
        self.as_of = as_of
        self.stale = stale
        self._table = table
        # By currency and day. Amounts of one day come together.
        self._ratios: dict[tuple[str, date], tuple[int, int] | None] = {}

    def convert(self, units: int, currency: str, day: date) -> int | None:
        """Whole minor units of a day in minor units of the home currency, rounded half to even.

        None if the currency has no rate on that day, or no amounts: then the amount stays unconverted.
        """
        if currency == self.home:
            return units
        key = (currency, day)
        if key not in self._ratios:
            self._ratios[key] = self._ratio(currency, day)
        ratio = self._ratios[key]
        return None if ratio is None else half_to_even(units * ratio[0], ratio[1])

    def _ratio(self, currency: str, day: date) -> tuple[int, int] | None:
        """Minor units of the home currency by minor units of another."""
        ratio = self._table.ratio(self.home, currency, day)
        mine, its = money.decimals(self.home), money.decimals(currency)
        if ratio is None or mine is None or its is None:
            return None
        return ratio[0] * 10**mine, ratio[1] * 10**its


def half_to_even(numerator: int, denominator: int) -> int:
    """The nearest whole number to a ratio, of two that are as near the even one. `denominator` is above 0."""
    whole, rest = divmod(numerator, denominator)
    up = 2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1)
    return whole + up
