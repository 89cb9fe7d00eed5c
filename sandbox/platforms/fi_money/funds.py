"""Mutual fund transactions: monthly instalments up to today, in either of two shapes."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from sandbox.clock import IST
from sandbox.instruments import FUNDS, Fund
from sandbox.platforms.fi_money.values import money
from sandbox.randomness import seeded_random

BUY, SELL = 1, 2
SCHEMA = (
    "A list of mutual fund investments. Each 'txns' entry is an array of: type (1 BUY, 2 SELL),"
    " date, purchase price, units, amount. At most 500 rows are listed."
)


@dataclass(frozen=True)
class Trade:
    kind: int
    day: date
    nav: float
    units: float
    amount: float


@dataclass(frozen=True)
class Folio:
    fund: Fund
    number: str
    trades: list[Trade]

    @property
    def units(self) -> float:
        return round(self._units(BUY) - self._units(SELL), 4)

    @property
    def invested(self) -> float:
        """The cost of the remaining units, at the average price paid."""
        paid = sum(trade.amount for trade in self.trades if trade.kind == BUY)
        bought = self._units(BUY)
        return round(paid * self.units / bought, 2) if bought else 0.0

    def _units(self, kind: int) -> float:
        return sum(trade.units for trade in self.trades if trade.kind == kind)


def folios(seed: int, phone: str, count: int, today: date) -> list[Folio]:
    rng = seeded_random(seed, "folios", phone)
    return [
        Folio(fund, f"{rng.randrange(10**7, 10**8)}", _trades(seed, phone, fund, today))
        for fund in rng.sample(FUNDS, k=count)
    ]


def mf_transactions(held: list[Folio]) -> dict[str, Any]:
    return {
        "mfTransactions": [
            {
                "isin": folio.fund.isin,
                "schemeName": folio.fund.name,
                "folioId": folio.number,
                "txns": [[t.kind, str(t.day), t.nav, t.units, t.amount] for t in folio.trades],
            }
            for folio in held
        ],
        "schemaDescription": SCHEMA,
    }


def older_mf_transactions(held: list[Folio]) -> dict[str, Any]:
    return {
        "transactions": [
            {
                "isinNumber": folio.fund.isin,
                "folioId": folio.number,
                "externalOrderType": "BUY" if trade.kind == BUY else "SELL",
                # Midnight in India, given in UTC: the date part is the day before (Fi sample data).
                "transactionDate": f"{_midnight_in_utc(trade.day):%Y-%m-%dT%H:%M:%SZ}",
                "purchasePrice": money(trade.nav),
                "transactionAmount": money(trade.amount),
                "transactionUnits": trade.units,
                "transactionMode": "N",
                "schemeName": folio.fund.name,
            }
            for folio in held
            for trade in folio.trades
        ]
    }


def _midnight_in_utc(day: date) -> datetime:
    return datetime.combine(day, time(), IST).astimezone(UTC)


def _trades(seed: int, phone: str, fund: Fund, today: date) -> list[Trade]:
    """Instalments on one day of the month, each decided alone so that old ones never change."""
    rng = seeded_random(seed, "instalments", phone, fund.isin)
    amount = rng.choice([500, 1000, 2500, 5000])
    day_of_month = rng.randint(1, 28)
    sold_month = rng.randint(6, 18)
    first = date(rng.randint(2023, 2025), rng.randint(1, 12), day_of_month)
    trades: list[Trade] = []
    day = first
    while day <= today:
        month = len(trades)
        nav = round(fund.nav * seeded_random(seed, "nav", fund.isin, day).uniform(0.7, 1.0), 4)
        if month == sold_month:
            units = round(trades[0].units + trades[1].units, 4)
            trades.append(Trade(SELL, day, nav, units, round(units * nav, 2)))
        else:
            trades.append(Trade(BUY, day, nav, round(amount / nav, 4), amount))
        following = day.month % 12 + 1
        day = date(day.year + (following == 1), following, day_of_month)
    return trades
