from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.platforms.base import PlatformDataError, PlatformError
from server.platforms.document import Node
from server.platforms.records import Holding, Item, Money, Period, Profile, Trade
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
        value=Money(Decimal("3543.75"), "INR"), free_quantity=Decimal(12),
        unsettled_quantity=Decimal(3), pledged_quantity=Decimal(0), margin_quantity=Decimal(0),
        cost=Money(Decimal("3157.5"), "INR"),
    )  # fmt: skip


def holding_of(**row: object) -> Holding:
    [item] = kite_items.holdings(node([{**HOLDING, **row}]))
    assert isinstance(item.record, Holding)
    return item.record


def test_shares_bought_on_margin_are_part_of_a_holding() -> None:
    """As in the example that Zerodha publishes: one share of the user's own, a thousand on margin."""
    mtf = {"quantity": 1000, "used_quantity": 0, "average_price": 100, "value": 100000}
    holding = holding_of(quantity=1, t1_quantity=0, average_price=161, last_price=352.95, mtf=mtf)
    assert (holding.quantity, holding.free_quantity, holding.margin_quantity) == tuple(
        map(Decimal, (1001, 1, 1000))
    )
    assert holding.value == Money(Decimal("353302.95"), "INR")
    assert holding.cost == Money(Decimal(100161), "INR")
    assert holding.average_price == Decimal("100.060939")
    assert holding.margin_average_price == 100


def test_pledged_shares_are_part_of_a_holding() -> None:
    holding = holding_of(quantity=0, t1_quantity=0, collateral_quantity=40)
    assert (holding.quantity, holding.free_quantity, holding.pledged_quantity) == tuple(
        map(Decimal, (40, 0, 40))
    )
    assert holding.value == Money(Decimal(9450), "INR")
    assert holding.average_price == Decimal("210.5")


@given(st.lists(st.integers(0, 10**9), min_size=4, max_size=4), st.decimals(0, 10**6, places=4))
def test_the_parts_of_a_holding_are_all_of_it(parts: list[int], price: Decimal) -> None:
    names = ("quantity", "t1_quantity", "collateral_quantity")
    mtf = {"quantity": parts[3], "average_price": price}
    holding = holding_of(**dict(zip(names, parts, strict=False)), mtf=mtf, last_price=price)
    assert holding.quantity == sum(parts)
    assert holding.value == Money(sum(parts) * price, "INR")
    assert holding.cost == Money(sum(parts[:3]) * Decimal("210.5") + parts[3] * price, "INR")


@pytest.mark.parametrize("mtf", [None, {}, {"quantity": 0, "average_price": 0}])
def test_a_holding_without_shares_on_margin(mtf: object) -> None:
    holding = holding_of(mtf=mtf)
    assert (holding.quantity, holding.margin_quantity) == (Decimal(15), Decimal(0))
    assert holding.margin_average_price is None


def test_a_price_may_be_missing_and_a_quantity_may_not() -> None:
    holding = holding_of(last_price=None, average_price=None, isin=None)
    assert (holding.quantity, holding.value, holding.cost, holding.isin) == (
        Decimal(15),
        None,
        None,
        None,
    )
    faults: list[PlatformError] = []
    rows = [{**HOLDING, "quantity": None}, {**HOLDING, "last_price": "?"}, HOLDING]
    priceless, whole = kite_items.holdings(Node(rows, "GET /somewhere", faults))
    assert isinstance(priceless.record, Holding)
    assert priceless.record.quantity == 15
    assert priceless.record.value is None
    assert whole.record == holding_of()
    assert [str(fault) for fault in faults] == [
        "GET /somewhere[].quantity: expected a number",
        "GET /somewhere[].last_price: expected a number",
    ]


@pytest.mark.parametrize(
    ("product", "quantity", "value"),
    [("CNC", -5, 0), ("MTF", -5, 0), ("CNC", 5, 501), ("MIS", -5, -501), ("NRML", -5, -501)],
)
def test_what_was_sold_out_of_the_holdings_is_not_taken_off_twice(
    product: str, quantity: int, value: int
) -> None:
    row = {**POSITION, "product": product, "quantity": quantity, "multiplier": 1}
    [item] = kite_items.positions(node({"net": [{**row, "last_price": 100.2}]}))
    assert isinstance(item.record, Holding)
    assert (item.record.quantity, item.record.value) == (
        Decimal(quantity),
        Money(Decimal(value), "INR"),
    )


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
        cost=Money(Decimal("2155.9114688"), "INR"),
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
        (kite_items.fund_holdings, [{**FUND, "quantity": None}]),
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


def test_a_wrong_row_costs_none_of_the_others() -> None:
    """A fill that is lost today is lost for good: tomorrow Zerodha has another list."""
    faults: list[PlatformError] = []
    rows = [{**TRADE, "quantity": "five"}, TRADE, "row", {**TRADE, "trade_id": "7730022"}]
    assert len(kite_items.trades(Node(rows, "GET /trades", faults), {})) == 2
    assert [str(fault) for fault in faults] == [
        "GET /trades[].quantity: expected a number",
        "GET /trades[]: expected an object",
    ]
    segments = {"equity": {"available": {"live_balance": 1}}, "commodity": {"enabled": False}}
    [cash] = kite_items.cash(Node(segments, "GET /user/margins", faults))
    assert isinstance(cash.record, Holding)
    assert cash.record.name == "Cash (equity)"
    assert kite_items.isins(
        Node([{}, "row", {**HOLDING, "exchange": 7}, HOLDING], "GET", faults)
    ) == {("NSE", "TESTCO"): "INE000T01010"}


def test_the_days_of_which_all_fills_are_listed() -> None:
    night = {"exchange": "MCX", "fill_timestamp": "2026-02-03 00:10:00", "trade_id": "2"}
    assert kite_items.trading_days(trades(TRADE, {**TRADE, **night})) == [
        Period("exchange", "NSE", datetime(2026, 2, 2, 18, 30, tzinfo=UTC)),
        Period("exchange", "MCX", datetime(2026, 2, 2, 18, 30, tzinfo=UTC)),
    ]
    assert kite_items.trading_days([]) == []
