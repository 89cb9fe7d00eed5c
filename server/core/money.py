"""Money: whole minor units of a currency inside, decimal strings outside, never floats.

How many decimals a currency has is in ISO 4217. A currency without minor units (gold, test codes) has no
amounts.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, localcontext

import iso4217

from server.core.errors import InvalidRequest

_VALUE = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.([0-9]{1,4}))?")
_WRONG_VALUE = "must be a decimal number in a string, as 1250.75"
# By currency. The table has a row without a code for places that have no currency.
_DECIMALS: dict[str, int] = {
    code: int(digits)
    for code, row in iso4217.raw_table.items()
    if code and (digits := str(row["CcyMnrUnts"])).isdecimal()
}


@dataclass(frozen=True, slots=True)
class Money:
    """An amount: `units` are whole minor units, as paise of INR; what is owed is negative."""

    units: int
    currency: str  # ISO 4217

    @property
    def value(self) -> str:
        """The decimal number, with exactly as many decimals as the currency has: `1250.75`, `1500`."""
        return text(self.units, self.currency)


def decimals(currency: str) -> int | None:
    """How many decimals the amounts of a currency have; None if it has no amounts."""
    return _DECIMALS.get(currency)


def text(units: int, currency: str) -> str:
    """Whole minor units as a decimal number. Raises KeyError for a currency without amounts."""
    places = _DECIMALS[currency]
    digits = str(abs(units)).rjust(places + 1, "0")
    whole, part = digits[: len(digits) - places], digits[len(digits) - places :]
    return ("-" if units < 0 else "") + (f"{whole}.{part}" if part else whole)


def problem(value: str, currency: str | None) -> tuple[str, str] | None:
    """The wrong field of an amount that a caller sent, `value` or `currency`, and what would be right.

    None if nothing is wrong. Without a currency the number is looked at alone.
    """
    found = _VALUE.fullmatch(value)
    if found is None:
        return "value", _WRONG_VALUE
    if currency is None:
        return None
    places = _DECIMALS.get(currency)
    if places is None:
        return "currency", "must be an ISO 4217 currency code that has amounts, as INR"
    if len(found[1] or "") > places:
        most = f"at most {places} decimals" if places else "no decimals"
        return "value", f"must have {most}, as {currency} has"
    return None


def parse(value: str, currency: str, field: str = "amount") -> Money:
    """Money of a caller's decimal number. Raises InvalidRequest naming `field`'s `value` or `currency`."""
    if (wrong := problem(value, currency)) is not None:
        raise InvalidRequest.of(f"{field}.{wrong[0]}", wrong[1])
    return Money(int(Decimal(value).scaleb(_DECIMALS[currency])), currency)


def of_decimal(value: Decimal, currency: str) -> Money | None:
    """Money of a number that a platform or a bank reported; None if the currency has no amounts, or fewer
    decimals than the number."""
    places = _DECIMALS.get(currency)
    if places is None or not value.is_finite():
        return None
    with localcontext(prec=50):
        scaled = value.scaleb(places)
    whole = int(scaled)
    return Money(whole, currency) if scaled == whole else None


def shares(units: int, weights: Iterable[int]) -> list[int]:
    """`units` divided in proportion to weights, exactly: each share is cut to whole units, and those left go
    to the largest fractions, the first ones where fractions are equal.

    Raises ValueError for a negative weight, or if all are 0.
    """
    parts = list(weights)
    total = sum(parts)
    if total <= 0 or min(parts) < 0:
        raise ValueError("weights must not be negative, nor all be 0")
    sign, amount = (-1 if units < 0 else 1), abs(units)
    cut = [amount * weight // total for weight in parts]
    fractions = [(-(amount * weight % total), place) for place, weight in enumerate(parts)]
    for _, place in sorted(fractions)[: amount - sum(cut)]:
        cut[place] += 1
    return [sign * share for share in cut]
