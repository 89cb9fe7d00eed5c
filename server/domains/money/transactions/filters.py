"""Filters of lists of transactions by what is sealed."""

import unicodedata
from dataclasses import dataclass
from decimal import Decimal

from server.core import money
from server.domains.money.transactions.sealed import SealedTransaction


@dataclass(frozen=True, slots=True)
class SealedFilter:
    """`text` is looked for whatever its case; amounts are in the currency of each transaction."""

    text: str | None = None
    least: Decimal | None = None
    most: Decimal | None = None

    def __bool__(self) -> bool:
        return not (self.text is None and self.least is None and self.most is None)

    def fits(self, content: SealedTransaction, currency: str) -> bool:
        if self.least is not None or self.most is not None:
            amount = Decimal(content.units).scaleb(-(money.decimals(currency) or 0))
            if self.least is not None and amount < self.least:
                return False
            if self.most is not None and amount > self.most:
                return False
        if self.text is None:
            return True
        return any(self.text in each.casefold() for each in content.texts if each)


def sealed_filter(q: str | None, least: str | None, most: str | None) -> SealedFilter:
    """Of what a caller sent; amounts are decimal numbers."""
    return SealedFilter(
        None if q is None else unicodedata.normalize("NFC", q).strip().casefold(),
        None if least is None else Decimal(least),
        None if most is None else Decimal(most),
    )
