"""Mutual funds on Kite's Coin: holdings, a week of orders, and standing instructions."""

import random
import uuid
from datetime import date, datetime, time, timedelta
from typing import Any

from sandbox.clock import IST
from sandbox.instruments import FUNDS, Fund
from sandbox.platforms.zerodha.times import wire_time
from sandbox.randomness import price_on, seeded_random

DAYS_LISTED = 7
REJECTED_EVERY_DAYS = 3


def mf_holdings(seed: int, user_id: str, today: date) -> list[dict[str, Any]]:
    rng = seeded_random(seed, "mf holdings", user_id)
    return [
        {
            "folio": f"{rng.randrange(10**9, 10**10)}" if rng.random() < 0.9 else None,
            "average_price": round(fund.nav * rng.uniform(0.6, 1.1), 4),
            "last_price": price_on(seed, fund.isin, fund.nav, today),
            "last_price_date": rng.choice(["", f"{today - timedelta(days=1)}"]),
            "pledged_quantity": 0,
            "fund": fund.name,
            "tradingsymbol": fund.isin,
            "pnl": 0,
            "quantity": round(rng.uniform(1, 900), 3),
        }
        for fund in _funds_of(seed, user_id)
    ]


def mf_orders(seed: int, user_id: str, day: date) -> list[dict[str, Any]]:
    """The orders of the last seven days, newest first; a past day's orders never change."""
    days = [day - timedelta(days=age) for age in range(DAYS_LISTED)]
    return [order for each in days for order in _orders_on(seed, user_id, each)]


def mf_sips(seed: int, user_id: str, day: date) -> list[dict[str, Any]]:
    rng = seeded_random(seed, "mf sips", user_id)
    return [
        {
            "sip_id": _uuid(rng),
            "tradingsymbol": fund.isin,
            "fund": fund.name,
            "dividend_type": "growth",
            "transaction_type": "BUY",
            "status": "ACTIVE",
            "sip_type": "sip",
            "created": f"2025-{rng.randint(1, 12):02}-{rng.randint(1, 28):02} 10:24:31",
            "frequency": "monthly",
            "instalment_amount": rng.choice([1000, 2000, 5000]),
            "instalments": -1,
            "last_instalment": f"{day.replace(day=1)} 08:00:00",
            "pending_instalments": -1,
            "instalment_day": 1,
            "completed_instalments": rng.randint(1, 12),
            "next_instalment": f"{(day.replace(day=1) + timedelta(days=32)).replace(day=1)}",
            "trigger_price": 0,
            "step_up": {},
            "tag": None,
        }
        for fund in _funds_of(seed, user_id)[:2]
    ]


def _funds_of(seed: int, user_id: str) -> list[Fund]:
    rng = seeded_random(seed, "mf funds", user_id)
    return rng.sample(FUNDS, k=rng.randint(4, 7))


def _orders_on(seed: int, user_id: str, day: date) -> list[dict[str, Any]]:
    rng = seeded_random(seed, "mf orders", user_id, day)
    funds = _funds_of(seed, user_id)
    statuses = ["COMPLETE"] * rng.randint(1, 2)
    if day.toordinal() % REJECTED_EVERY_DAYS == 0:
        statuses.append("REJECTED")
    orders = []
    for status in statuses:
        fund = rng.choice(funds)
        nav = price_on(seed, fund.isin, fund.nav, day)
        orders.append(_order(rng, fund, nav, status, day) | {"placed_by": user_id})
    return orders


def _order(rng: random.Random, fund: Fund, nav: float, status: str, day: date) -> dict[str, Any]:
    complete = status == "COMPLETE"
    amount = rng.choice([1000.0, 2500.0, 5000.0])
    placed_at = datetime.combine(day, time(8, rng.randint(0, 59), rng.randint(0, 59)), IST)
    return {
        "status": status,
        "purchase_type": "ADDITIONAL" if complete else "FRESH",
        "folio": f"{rng.randrange(10**9, 10**10)}" if complete else None,
        "order_timestamp": wire_time(placed_at),
        "average_price": nav if complete else 0.0,
        "exchange_order_id": f"{rng.randrange(10**8, 10**9)}" if complete else None,
        "last_price": nav,
        "tradingsymbol": fund.isin,
        "settlement_id": f"{rng.randrange(10**6, 10**7)}" if complete else None,
        "transaction_type": "BUY",
        "order_id": _uuid(rng),
        "amount": amount,
        "tag": None,
        "exchange_timestamp": f"{day}" if complete else None,
        "variety": rng.choice(["regular", "sip", "amc_sip"]),
        "last_price_date": f"{day - timedelta(days=1)}",
        "status_message": None if complete else "SIP: Insufficient balance.",
        "fund": fund.name,
        "quantity": round(amount / nav, 3) if complete else 0.0,
    }


def _uuid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
