"""Stock transactions: a closed history, which depends on the seed and the login alone."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sandbox.instruments import STOCKS, Stock
from sandbox.randomness import seeded_random

BUY, SELL, BONUS, SPLIT = 1, 2, 3, 4
_FIRST_DAY = date(2022, 1, 3)
_SCHEMA = (
    "A list of stock transactions. Each 'txns' entry is an array of: type (1 BUY, 2 SELL, 3 BONUS,"
    " 4 SPLIT), date, quantity, price. The price may be missing."
)


@dataclass(frozen=True)
class StockHistory:
    stock: Stock
    rows: list[list[Any]]

    @property
    def units(self) -> int:
        return sum(-row[2] if row[0] == SELL else row[2] for row in self.rows)


def stock_histories(seed: int, phone: str, count: int) -> list[StockHistory]:
    stocks = seeded_random(seed, "stocks", phone).sample(STOCKS, k=count)
    return [
        StockHistory(stock, _rows(seed, phone, stock, number))
        for number, stock in enumerate(stocks)
    ]


def stock_transactions(seed: int, phone: str, count: int) -> dict[str, Any]:
    return {
        "schemaDescription": _SCHEMA,
        "stockTransactions": [
            {"isin": history.stock.isin, "txns": history.rows}
            for history in stock_histories(seed, phone, count)
        ],
    }


def _rows(seed: int, phone: str, stock: Stock, number: int) -> list[list[Any]]:
    rng = seeded_random(seed, "stock", phone, stock.isin)
    rows: list[list[Any]] = []
    held = 0
    day = _FIRST_DAY
    for _ in range(rng.randint(2, 5)):
        day += timedelta(days=rng.randint(20, 200))
        quantity = rng.randint(1, 25)
        price = round(stock.price * rng.uniform(0.55, 1.05), 2)
        if held > quantity and rng.random() < 0.3:
            rows.append([SELL, str(day), quantity, price])
            held -= quantity
            continue
        # Nothing distinguishes equal fills on one day (Fi sample data).
        fills = rng.randint(2, 4) if number == 0 else rng.choice([1, 1, 2])
        row = [BUY, str(day), quantity, price] if rng.random() < 0.8 else [BUY, str(day), quantity]
        rows += [list(row) for _ in range(fills)]
        held += quantity * fills
    if number % 4 == 1:
        rows.append([BONUS, str(day + timedelta(days=30)), held])
    if number % 4 == 2:
        rows.append([SPLIT, str(day + timedelta(days=45)), held])
    rng.shuffle(rows)
    return rows
