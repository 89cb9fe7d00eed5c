from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from server.platforms.base import PlatformDataError
from server.platforms.document import Node
from server.platforms.records import Holding, Item, Money, Profile, Trade
from server.platforms.zerodha import items as kite_items

HOLDING = {
    "tradingsymbol": "TESTCO", "exchange": "NSE", "isin": "INE000T01010", "product": "CNC",
    "quantity": 12, "t1_quantity": 3, "average_price": 210.5, "last_price": 236.25,
}  # fmt: skip
POSITION = {
    "tradingsymbol": "TESTFUT", "exchange": "NFO", "product": "NRML", "quantity": -2,
    "multiplier": 50, "average_price": 101.5, "last_price": 100.25, "value": 10150,
}  # fmt: skip
FUND = {
    "folio": "90017734", "fund": "Test Fund - Direct", "tradingsymbol": "INF000T01020",
    "quantity": 41.372, "average_price": 52.1104, "last_price": 58.004, "last_price_date": "",
}  # fmt: skip
TRADE = {
    "trade_id": "7730021", "order_id": "260203000412345", "exchange": "NSE",
    "tradingsymbol": "TESTCO", "product": "CNC", "transaction_type": "BUY", "quantity": 5,
    "average_price": 209.35, "fill_timestamp": "2026-02-03 10:02:11",
    "exchange_timestamp": "2026-02-03 10:02:11", "order_timestamp": "10:02:10",
}  # fmt: skip
FUND_ORDER = {
    "order_id": "0f8fad5b-d9cb-469f-a165-70867728950e", "tradingsymbol": "INF000T01020",
    "fund": "Test Fund - Direct", "folio": None, "status": "COMPLETE", "transaction_type": "BUY",
    "quantity": 9.614, "amount": 500, "average_price": 52.0075,
    "exchange_timestamp": "2026-02-02", "order_timestamp": "2026-02-01 08:33:07",
}  # fmt: skip


def node(value: object) -> Node:
    return Node(value, "GET /somewhere")


def trades(*rows: object) -> list[Item]:
    return kite_items.trades(node(list(rows)), {})


def test_a_holding_counts_what_arrives_tomorrow() -> None:
    [item] = kite_items.holdings(node([HOLDING]))
    assert item.record == Holding(
        kind="equity", name="TESTCO", isin="INE000T01010", symbol="TESTCO", exchange="NSE",
        quantity=Decimal(15), average_price=Decimal("210.5"), last_price=Decimal("236.25"),
        value=Money(Decimal("3543.75"), "INR"),
    )  # fmt: skip


def test_net_positions_are_valued_at_the_market_and_day_ones_left_out() -> None:
    [item] = kite_items.positions(node({"net": [POSITION], "day": [POSITION, POSITION]}))
    assert isinstance(item.record, Holding)
    assert item.record.kind == "position"
    assert item.record.value == Money(Decimal(-10025), "INR")


def test_a_fund_holding() -> None:
    [item] = kite_items.fund_holdings(node([FUND]))
    assert item.record == Holding(
        kind="mutual_fund", name="Test Fund - Direct", isin="INF000T01020", folio="90017734",
        quantity=Decimal("41.372"), average_price=Decimal("52.1104"),
        last_price=Decimal("58.004"), value=Money(Decimal("2399.741488"), "INR"),
    )  # fmt: skip


def test_cash_of_each_segment_also_when_it_is_nothing() -> None:
    margins = {
        "equity": {"enabled": True, "available": {"live_balance": 99725.05000000002}},
        "commodity": {"enabled": False, "available": {"live_balance": 0}},
    }
    records = [item.record for item in kite_items.cash(node(margins))]
    assert records == [
        Holding("cash", "Cash (equity)", value=Money(Decimal("99725.05000000002"), "INR")),
        Holding("cash", "Cash (commodity)", value=Money(Decimal(0), "INR")),
    ]


def test_a_fill_has_an_instant_and_the_isin_of_the_holding_on_its_exchange() -> None:
    known = kite_items.isins(node([HOLDING, {**HOLDING, "exchange": "BSE", "isin": ""}]))
    fill, elsewhere = kite_items.trades(node([TRADE, {**TRADE, "exchange": "BSE"}]), known)
    assert fill.record == Trade(
        side="buy", quantity=Decimal(5), time=datetime(2026, 2, 3, 4, 32, 11, tzinfo=UTC),
        isin="INE000T01010", symbol="TESTCO", exchange="NSE", price=Decimal("209.35"),
    )  # fmt: skip
    assert isinstance(elsewhere.record, Trade)
    assert elsewhere.record.isin is None
    assert elsewhere.key != fill.key


def test_a_fill_is_known_by_exchange_order_and_trade_whatever_else_changes() -> None:
    [before] = trades(TRADE)
    [after] = trades({**TRADE, "average_price": 209.4, "fill_timestamp": None})
    [other_order] = trades({**TRADE, "order_id": "260203000412346"})
    assert after.key == before.key != other_order.key
    assert isinstance(after.record, Trade)
    assert after.record.time == datetime(2026, 2, 3, 4, 32, 11, tzinfo=UTC)


def test_a_fill_without_any_time_is_still_a_fill() -> None:
    [item] = trades({**TRADE, "fill_timestamp": "", "exchange_timestamp": None})
    assert isinstance(item.record, Trade)
    assert item.record.time is None


@pytest.mark.parametrize(
    "change", [{"status": "OPEN"}, {"status": "REJECTED"}, {"status": "CANCELLED"}, {"quantity": 0}]
)
def test_only_complete_fund_orders_with_units_are_trades(change: dict[str, object]) -> None:
    assert kite_items.fund_trades(node([{**FUND_ORDER, **change}])) == []


@pytest.mark.parametrize(
    ("stamp", "day"),
    [
        ("2026-02-02", date(2026, 2, 2)),
        (None, date(2026, 2, 1)),
        ("", date(2026, 2, 1)),
        ("2026-02-02T20:00:00Z", date(2026, 2, 3)),
    ],
)
def test_a_fund_trade_has_a_day(stamp: str | None, day: date) -> None:
    [item] = kite_items.fund_trades(node([{**FUND_ORDER, "exchange_timestamp": stamp}]))
    assert item.record == Trade(
        side="buy", quantity=Decimal("9.614"), date=day, isin="INF000T01020",
        fund="Test Fund - Direct", price=Decimal("52.0075"), amount=Money(Decimal(500), "INR"),
    )  # fmt: skip


def test_a_redemption_by_units_has_no_amount() -> None:
    [item] = kite_items.fund_trades(
        node([{**FUND_ORDER, "transaction_type": "SELL", "amount": 0.0}])
    )
    assert isinstance(item.record, Trade)
    assert (item.record.side, item.record.amount) == ("sell", None)


def test_profile() -> None:
    [item] = kite_items.profile(
        node({
            "user_id": "QX4821", "user_type": "individual", "email": "mira@example.test",
            "user_name": "Mira Rao", "broker": "ZERODHA", "exchanges": ["NSE"],
            "products": ["CNC"], "avatar_url": None,
        })
    )  # fmt: skip
    assert item.record == Profile(
        platform_user_id="QX4821", name="Mira Rao", email="mira@example.test", broker="ZERODHA",
        account_type="individual", exchanges=("NSE",), products=("CNC",),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("parse", "document"),
    [
        (kite_items.holdings, {}),
        (kite_items.holdings, None),
        (kite_items.holdings, [{**HOLDING, "quantity": "12"}]),
        (kite_items.holdings, [{**HOLDING, "quantity": True}]),
        (kite_items.holdings, [{"exchange": "NSE"}]),
        (kite_items.positions, [POSITION]),
        (kite_items.positions, {"day": []}),
        (kite_items.fund_holdings, [{**FUND, "last_price": None}]),
        (kite_items.cash, {"equity": {"available": {}}}),
        (kite_items.fund_trades, [{**FUND_ORDER, "transaction_type": "SWITCH"}]),
        (kite_items.fund_trades, [{**FUND_ORDER, "exchange_timestamp": "yesterday"}]),
        (kite_items.profile, {"user_id": ""}),
        (kite_items.profile, {"user_id": "QX4821", "exchanges": "NSE"}),
    ],
)
def test_another_shape_is_a_data_error(
    parse: Callable[[Node], list[Item]], document: object
) -> None:
    with pytest.raises(PlatformDataError, match=r"^GET /somewhere.*: expected "):
        parse(node(document))
