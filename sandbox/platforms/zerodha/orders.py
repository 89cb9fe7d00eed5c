"""A day's orders and their fills."""

import random
from datetime import date, datetime, time, timedelta
from typing import Any

from sandbox.clock import IST
from sandbox.instruments import STOCKS, Stock
from sandbox.platforms.zerodha.times import wire_time
from sandbox.randomness import price_on, seeded_random

OPENS_AT = time(9, 15)
MINUTES_OF_TRADING = 360

# Orders before chance fills in the details: (status, product, sides).
_DELIVERIES = [
    ("COMPLETE", "CNC", ["BUY"]),
    ("COMPLETE", "CNC", ["BUY"]),
    ("COMPLETE", "CNC", ["SELL"]),
]
_EVERY_DAY = [
    ("COMPLETE", "MIS", ["BUY", "SELL"]),
    ("COMPLETE", "MIS", ["BUY", "SELL"]),
    ("REJECTED", "CNC", ["BUY"]),
    ("CANCELLED", "CNC", ["BUY"]),
]


def orders_and_trades(
    seed: int, user_id: str, day: date
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Everything a user ordered on a day, and the fills that came of it.

    An intraday (MIS) plan buys and sells the same quantity, which leaves a closed position.
    """
    rng = seeded_random(seed, "orders", user_id, day)
    plans = rng.choices(_DELIVERIES, k=rng.randint(5, 9)) + _EVERY_DAY
    stocks = rng.sample(STOCKS, k=len(plans))
    orders: list[dict[str, Any]] = []
    trades: list[dict[str, Any]] = []
    for (status, product, sides), stock in zip(plans, stocks, strict=True):
        quantity = rng.randint(4, 60)
        placed_at = datetime.combine(day, OPENS_AT, IST) + timedelta(
            seconds=rng.randint(0, (MINUTES_OF_TRADING // 2) * 60)
        )
        for side in sides:
            order = _order(
                rng,
                user_id=user_id,
                stock=stock,
                status=status,
                product=product,
                side=side,
                quantity=quantity,
                placed_at=placed_at,
            )
            fills = _fills(rng, order, price_on(seed, stock.isin, stock.price, day), placed_at)
            if fills:
                value = sum(fill["quantity"] * fill["average_price"] for fill in fills)
                order["average_price"] = value / quantity
            orders.append(order)
            trades += fills
            placed_at += timedelta(minutes=rng.randint(15, MINUTES_OF_TRADING // 2))
    orders.sort(key=lambda order: str(order["order_timestamp"]))
    trades.sort(key=lambda trade: str(trade["fill_timestamp"]))
    return orders, trades


def history(order: dict[str, Any]) -> list[dict[str, Any]]:
    """The states an order passed through to become what it is."""
    before = {"filled_quantity": 0, "average_price": 0, "pending_quantity": order["quantity"]}
    states = ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING"]
    if order["status"] != "REJECTED":
        states += ["OPEN PENDING", "OPEN"]
    return [{**order, **before, "status": state} for state in states] + [order]


def _order(
    rng: random.Random,
    *,
    user_id: str,
    stock: Stock,
    status: str,
    product: str,
    side: str,
    quantity: int,
    placed_at: datetime,
) -> dict[str, Any]:
    complete = status == "COMPLETE"
    reached_exchange = status != "REJECTED"
    refusal = None if reached_exchange else "Insufficient funds. Check the orderbook for details."
    exchange_time = wire_time(placed_at + timedelta(seconds=1)) if reached_exchange else None
    return {
        "placed_by": user_id,
        "order_id": f"{placed_at:%y%m%d}{rng.randrange(10**9):09}",
        "exchange_order_id": f"13{rng.randrange(10**14):014}" if reached_exchange else None,
        "parent_order_id": None,
        "status": status,
        "status_message": refusal,
        "status_message_raw": refusal,
        "order_timestamp": wire_time(placed_at),
        "exchange_update_timestamp": exchange_time,
        "exchange_timestamp": exchange_time,
        "variety": "regular",
        "modified": False,
        "exchange": "NSE",
        "tradingsymbol": stock.symbol,
        "instrument_token": stock.token,
        "order_type": "MARKET" if complete else "LIMIT",
        "transaction_type": side,
        "validity": "DAY",
        "product": product,
        "quantity": quantity,
        "disclosed_quantity": 0,
        "price": 0 if complete else round(stock.price * 0.9, 1),
        "trigger_price": 0,
        "average_price": 0,
        "filled_quantity": quantity if complete else 0,
        "pending_quantity": 0,
        "cancelled_quantity": quantity if status == "CANCELLED" else 0,
        "market_protection": 0,
        "meta": {},
        "tag": None,
        "guid": f"{rng.randrange(10**6)}X{rng.randrange(16**10):010x}",
    }


def _fills(
    rng: random.Random, order: dict[str, Any], price: float, placed_at: datetime
) -> list[dict[str, Any]]:
    """One to four fills, a few seconds and a few ticks apart."""
    left = order["filled_quantity"]
    if not left:
        return []
    quantities = []
    for _ in range(rng.randint(0, 3)):
        if left > 1:
            quantities.append(rng.randint(1, left - 1))
            left -= quantities[-1]
    quantities.append(left)
    filled_at = placed_at
    fills = []
    for quantity in quantities:
        filled_at += timedelta(seconds=rng.randint(1, 40))
        fills.append(
            {
                "trade_id": f"{rng.randrange(10**7, 10**8)}",
                "order_id": order["order_id"],
                "exchange": order["exchange"],
                "tradingsymbol": order["tradingsymbol"],
                "instrument_token": order["instrument_token"],
                "product": order["product"],
                "average_price": round(price + rng.randint(-4, 4) * 0.05, 2),
                "quantity": quantity,
                "exchange_order_id": order["exchange_order_id"],
                "transaction_type": order["transaction_type"],
                "fill_timestamp": wire_time(filled_at),
                # Only here does Kite send a time without its date (Kite Connect docs).
                "order_timestamp": f"{placed_at:%H:%M:%S}",
                "exchange_timestamp": wire_time(filled_at),
            }
        )
    return fills
