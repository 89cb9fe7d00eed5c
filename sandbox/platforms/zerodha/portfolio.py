"""Holdings, positions and margins."""

from datetime import date, timedelta
from typing import Any

from sandbox.instruments import STOCKS, Stock
from sandbox.randomness import price_on, seeded_random

_STOCK_BY_SYMBOL = {stock.symbol: stock for stock in STOCKS}


def holdings(seed: int, user_id: str, today: date) -> list[dict[str, Any]]:
    """The holdings depend on the user alone; their value depends on the day."""
    rng = seeded_random(seed, "holdings", user_id)
    apart = seeded_random(seed, "pledged and bought on margin", user_id)
    rows = []
    for number, stock in enumerate(rng.sample(STOCKS, k=rng.randint(12, 20))):
        quantity = rng.randint(1, 150)
        exchange = rng.choice(["NSE", "NSE", "BSE"])
        average = round(stock.price * rng.uniform(0.6, 1.15), 4)
        arriving = rng.choice([0, 0, 0, rng.randint(1, 10)])
        # Neither is in `quantity`.
        pledged = apart.randint(1, quantity) if number % 4 == 1 else 0
        on_margin = apart.randint(1, 500) if number % 5 == 2 else 0
        margin_average = round(average * apart.uniform(0.9, 1.1), 4) if on_margin else 0
        last = price_on(seed, stock.isin, stock.price, today)
        close = price_on(seed, stock.isin, stock.price, today - timedelta(days=1))
        rows.append(
            {
                "tradingsymbol": stock.symbol,
                "exchange": exchange,
                "instrument_token": stock.token + (1 if exchange == "BSE" else 0),
                "isin": stock.isin,
                "product": "CNC",
                "price": 0,
                "quantity": quantity - pledged,
                "used_quantity": 0,
                "t1_quantity": arriving,
                "realised_quantity": quantity,
                "authorised_quantity": 0,
                "authorised_date": f"{today} 00:00:00",
                "authorisation": {},
                "opening_quantity": quantity,
                "short_quantity": 0,
                "collateral_quantity": pledged,
                "collateral_type": rng.choice(["", "", None]),
                "discrepancy": False,
                "average_price": average,
                "last_price": last,
                "close_price": close,
                "pnl": (last - average) * (quantity - pledged),
                "day_change": last - close,
                "day_change_percentage": (last - close) / close * 100,
                "mtf": {
                    "quantity": on_margin,
                    "used_quantity": 0,
                    "average_price": margin_average,
                    "value": round(on_margin * margin_average, 4),
                    "initial_margin": 0,
                },
            }
        )
    return rows


def positions(
    seed: int, user_id: str, day: date, trades: list[dict[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """`day` sums up the day's fills; `net` adds what was carried over from earlier days."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for trade in trades:
        groups.setdefault((trade["tradingsymbol"], trade["product"]), []).append(trade)
    traded = [
        _position(seed, _STOCK_BY_SYMBOL[symbol], product, day, fills)
        for (symbol, product), fills in groups.items()
    ]
    return {"net": [*traded, _carried_future(seed, user_id, day)], "day": traded}


def margins(seed: int, user_id: str, today: date) -> dict[str, Any]:
    rng = seeded_random(seed, "margins", user_id, today)
    return {
        "equity": _segment(cash=rng.uniform(20_000, 400_000), used=rng.uniform(1_000, 15_000)),
        "commodity": _segment(cash=rng.uniform(0, 50_000), used=0.0),
    }


def _position(
    seed: int, stock: Stock, product: str, day: date, fills: list[dict[str, Any]]
) -> dict[str, Any]:
    bought = [fill for fill in fills if fill["transaction_type"] == "BUY"]
    sold = [fill for fill in fills if fill["transaction_type"] == "SELL"]
    return _row(
        symbol=stock.symbol,
        exchange="NSE",
        token=stock.token,
        product=product,
        overnight=0,
        close=0.0,
        last=price_on(seed, stock.isin, stock.price, day),
        buy=(sum(f["quantity"] for f in bought), _value(bought)),
        sell=(sum(f["quantity"] for f in sold), _value(sold)),
    )


def _carried_future(seed: int, user_id: str, day: date) -> dict[str, Any]:
    """A future bought earlier in the month and not traded today."""
    rng = seeded_random(seed, "future", user_id, day.year, day.month)
    stock = rng.choice(STOCKS)
    lots = rng.randint(1, 3) * 50
    return _row(
        symbol=f"{stock.symbol}{day:%y%b}FUT".upper(),
        exchange="NFO",
        token=stock.token + 2,
        product="NRML",
        overnight=lots,
        close=price_on(seed, stock.isin, stock.price, day - timedelta(days=1)),
        last=price_on(seed, stock.isin, stock.price, day),
        buy=(lots, lots * round(stock.price * rng.uniform(0.95, 1.05), 2)),
        sell=(0, 0.0),
    )


def _row(
    *,
    symbol: str,
    exchange: str,
    token: int,
    product: str,
    overnight: int,
    close: float,
    last: float,
    buy: tuple[int, float],
    sell: tuple[int, float],
) -> dict[str, Any]:
    (bought, buy_value), (sold, sell_value) = buy, sell
    quantity = bought - sold
    buy_price = buy_value / bought if bought else 0
    sell_price = sell_value / sold if sold else 0
    average = buy_price if quantity > 0 else sell_price if quantity < 0 else 0
    value = sell_value - buy_value
    pnl = value + quantity * last
    # Marked to market, what was carried over counts from yesterday's close.
    buy_m2m = overnight * close if overnight else buy_value
    day_bought = bought - overnight
    return {
        "tradingsymbol": symbol,
        "exchange": exchange,
        "instrument_token": token,
        "product": product,
        "quantity": quantity,
        "overnight_quantity": overnight,
        "multiplier": 1,
        "average_price": average,
        "close_price": close,
        "last_price": last,
        "value": value,
        "pnl": pnl,
        "m2m": sell_value - buy_m2m + quantity * last,
        "unrealised": pnl,
        "realised": 0,
        "buy_quantity": bought,
        "buy_price": buy_price,
        "buy_value": buy_value,
        "buy_m2m": buy_m2m,
        "sell_quantity": sold,
        "sell_price": sell_price,
        "sell_value": sell_value,
        "sell_m2m": sell_value,
        "day_buy_quantity": day_bought,
        "day_buy_price": buy_price if day_bought else 0,
        "day_buy_value": buy_value if day_bought else 0,
        "day_sell_quantity": sold,
        "day_sell_price": sell_price,
        "day_sell_value": sell_value,
    }


def _value(fills: list[dict[str, Any]]) -> float:
    return sum((fill["quantity"] * fill["average_price"] for fill in fills), 0.0)


def _segment(cash: float, used: float) -> dict[str, Any]:
    cash, used = round(cash, 2), round(used, 2)
    return {
        "enabled": True,
        "net": cash - used,
        "available": {
            "adhoc_margin": 0,
            "cash": cash,
            "opening_balance": cash,
            "live_balance": cash - used,
            "collateral": 0,
            "intraday_payin": 0,
        },
        "utilised": {
            "debits": used,
            "exposure": 0,
            "m2m_realised": 0,
            "m2m_unrealised": 0,
            "option_premium": 0,
            "payout": 0,
            "span": 0,
            "holding_sales": 0,
            "turnover": 0,
            "liquid_collateral": 0,
            "stock_collateral": 0,
            "delivery": used,
        },
    }
