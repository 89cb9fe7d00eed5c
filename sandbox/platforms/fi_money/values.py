"""Value shapes shared by Fi's tools."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

_NANO = Decimal(10) ** 9


def money(amount: float | Decimal, currency: str = "INR") -> dict[str, Any]:
    """Units as text and billionths as a number, each absent when zero (Fi sample data)."""
    exact = Decimal(str(amount)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    units = int(exact)
    nanos = int((exact - units) * _NANO)
    value: dict[str, Any] = {"currencyCode": currency}
    if units:
        value["units"] = str(units)
    if nanos:
        value["nanos"] = nanos
    return value
