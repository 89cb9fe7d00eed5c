"""Kite Connect payloads (the `data` of a reply) to items. Pure.

Source: Kite Connect documentation, and the example replies Zerodha publishes.

Kite names no currency: everything a retail client of an Indian broker holds there is in rupees.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, time
from decimal import Decimal
from functools import partial
from typing import Literal, NamedTuple

from server.platforms.document import IST, Node, exact_product, plain, quotient
from server.platforms.identity import Part, number_items
from server.platforms.records import Holding, Item, Money, Period, Profile, Trade

Instrument = tuple[str, str]  # exchange, trading symbol
Row = tuple[tuple[Part, ...], Holding | Trade]  # what identifies a record, and the record

_DELIVERED = frozenset({"CNC", "MTF"})  # products


def rupees(value: Decimal | None) -> Money | None:
    return None if value is None else Money(value, "INR")


def holdings(data: Node) -> list[Item]:
    """`GET /portfolio/holdings`. The README says where it is known from what the quantities mean."""
    return number_items(data.rows(_holding))


def _holding(row: Node) -> Row:
    exchange, symbol = row.get("exchange").word(), row.get("tradingsymbol").word()
    free = row.get("quantity").number()
    unsettled = row.read("t1_quantity", Node.number) or _NONE
    pledged = row.read("collateral_quantity", Node.number) or _NONE
    margin = row.read("mtf", _margin) or _NO_MARGIN
    own = free + unsettled + pledged
    quantity = plain(own + margin.quantity)
    if quantity is None:
        raise row.bad("a quantity within bounds")
    last_price = row.optional("last_price", Node.number)
    own_price = row.optional("average_price", Node.number)
    cost = _sum(_product(own, own_price), _product(margin.quantity, margin.average_price))
    record = Holding(
        kind="equity",
        name=symbol,
        isin=_optional_text(row, "isin"),
        symbol=symbol,
        exchange=exchange,
        quantity=quantity,
        average_price=own_price if not margin.quantity else cost and quotient(cost, quantity),
        last_price=last_price,
        value=rupees(_product(quantity, last_price)),
        free_quantity=free,
        unsettled_quantity=unsettled,
        pledged_quantity=pledged,
        margin_quantity=margin.quantity,
        margin_average_price=margin.average_price if margin.quantity else None,
        cost=rupees(cost),
    )
    return ("kite/holding", exchange, symbol, row.read("product", Node.text) or ""), record


class _Margin(NamedTuple):
    """Shares bought under the margin trading facility."""

    quantity: Decimal
    average_price: Decimal | None


_NONE = Decimal(0)
_NO_MARGIN = _Margin(_NONE, None)


def _margin(mtf: Node) -> _Margin:
    quantity = mtf.read("quantity", Node.number) or _NONE
    return _Margin(quantity, mtf.optional("average_price", Node.number))


def _product(quantity: Decimal, price: Decimal | None) -> Decimal | None:
    """Nothing costs nothing, whatever its price."""
    if not quantity:
        return _NONE
    return None if price is None else exact_product(quantity, price)


def _sum(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else plain(one + other)


def positions(data: Node) -> list[Item]:
    """`GET /portfolio/positions`, its `net` list only: `day` says part of the same again.

    A position closed today stays listed with quantity 0.
    """
    return number_items(data.get("net").rows(_position))


def _position(row: Node) -> Row:
    """`value` is the market value (quantity x multiplier x last price, negative for a short position).

    Kite's own `value` is what was received minus what was paid, which is not what a position is worth.
    """
    exchange, symbol = row.get("exchange").word(), row.get("tradingsymbol").word()
    product = row.get("product").word()
    quantity, last_price = row.get("quantity").number(), row.optional("last_price", Node.number)
    multiplier = row.read("multiplier", Node.number)
    lot = Decimal(1) if multiplier is None else multiplier
    # Shares for delivery cannot be sold short: these were sold out of the holdings, which are less already.
    worth = _NONE if product in _DELIVERED and quantity < 0 else exact_product(quantity, lot)
    record = Holding(
        kind="position",
        name=f"{symbol} ({product})",
        symbol=symbol,
        exchange=exchange,
        quantity=quantity,
        average_price=row.optional("average_price", Node.number),
        last_price=last_price,
        value=None if worth is None else rupees(_product(worth, last_price)),
    )
    return ("kite/position", exchange, symbol, product), record


def fund_holdings(data: Node) -> list[Item]:
    """`GET /mf/holdings`. A fund's `tradingsymbol` is its ISIN; `last_price` is its NAV."""
    return number_items(data.rows(_fund_holding))


def _fund_holding(row: Node) -> Row:
    isin, folio = row.get("tradingsymbol").word(), row.read("folio", Node.text) or None
    quantity, nav = row.get("quantity").number(), row.optional("last_price", Node.number)
    average_price = row.optional("average_price", Node.number)
    record = Holding(
        kind="mutual_fund",
        name=_optional_text(row, "fund") or isin,
        isin=isin,
        folio=folio,
        quantity=quantity,
        average_price=average_price,
        last_price=nav,
        value=rupees(_product(quantity, nav)),
        as_of=row.optional("last_price_date", Node.day_or_instant),
        cost=rupees(_product(quantity, average_price)),
    )
    return ("kite/fund", folio, isin), record


def cash(data: Node) -> list[Item]:
    """`GET /user/margins`: the cash of each segment (`equity`, `commodity`), also 0 and below."""
    return number_items(data.entries(_cash))


def _cash(segment: str, node: Node) -> Row:
    balance = node.get("available").get("live_balance").number()
    record = Holding(kind="cash", name=f"Cash ({segment})", value=rupees(balance))
    return ("kite/cash", segment), record


def isins(data: Node) -> dict[Instrument, str]:
    """The ISINs of `GET /portfolio/holdings`, which `GET /trades` lacks."""
    return dict(data.rows(_isin))


def _isin(row: Node) -> tuple[Instrument, str] | None:
    isin = _optional_text(row, "isin")
    return ((row.get("exchange").word(), row.get("tradingsymbol").word()), isin) if isin else None


def trades(data: Node, known_isins: Mapping[Instrument, str]) -> list[Item]:
    """`GET /trades`: the fills of the trading day, in IST."""
    return number_items(data.rows(partial(_trade, known_isins)))


def _trade(known_isins: Mapping[Instrument, str], row: Node) -> Row:
    """`average_price` is this fill's price.

    `order_timestamp` is a time of day here, unlike in other replies, and is not read. The exchange
    issues `trade_id`, so it identifies a fill only together with the exchange and the order.
    """
    exchange, symbol = row.get("exchange").word(), row.get("tradingsymbol").word()
    filled = row.read("fill_timestamp", Node.instant)
    record = Trade(
        side=_side(row.get("transaction_type")),
        quantity=row.get("quantity").number(),
        time=filled or row.read("exchange_timestamp", Node.instant),
        isin=known_isins.get((exchange, symbol)),
        symbol=symbol,
        exchange=exchange,
        price=row.get("average_price").number(),
    )
    order, trade = row.get("order_id").word(), row.get("trade_id").word()
    return ("kite/trade", exchange, order, trade), record


def trading_days(trades: Sequence[Item]) -> list[Period]:
    """The days of those fills: an exchange's list of a day has them all, also if it annuls one."""
    begun: dict[str, datetime] = {}
    for item in trades:
        if isinstance(item.record, Trade) and item.record.time and item.record.exchange:
            day = datetime.combine(item.record.time.astimezone(IST), time(), IST)
            begun[item.record.exchange] = max(day, begun.get(item.record.exchange, day))
    return [Period("exchange", exchange, day) for exchange, day in begun.items()]


def fund_trades(data: Node) -> list[Item]:
    """`GET /mf/orders`, 7 days of them: the COMPLETE ones with a quantity. They have a day only."""
    return number_items(data.rows(_fund_trade))


def _fund_trade(row: Node) -> Row | None:
    if row.get("status").text() != "COMPLETE":
        return None
    quantity = row.get("quantity").number()
    if quantity <= 0:
        return None
    day = row.read("exchange_timestamp", Node.day_or_instant)
    record = Trade(
        side=_side(row.get("transaction_type")),
        quantity=quantity,
        date=day or row.read("order_timestamp", Node.day_or_instant),
        isin=row.get("tradingsymbol").word(),
        fund=_optional_text(row, "fund"),
        folio=_optional_text(row, "folio"),
        price=row.get("average_price").number(),
        # A redemption by units reports an amount of 0, which is not what it paid.
        amount=rupees(row.read("amount", Node.number) or None),
    )
    return ("kite/fund-order", row.get("order_id").word()), record


def profile(data: Node) -> list[Item]:
    """`GET /user/profile`."""
    record = Profile(
        platform_user_id=data.get("user_id").word(),
        name=_optional_text(data, "user_name"),
        email=_optional_text(data, "email"),
        broker=_optional_text(data, "broker"),
        account_type=_optional_text(data, "user_type"),
        exchanges=data.optional("exchanges", Node.texts) or (),
        products=data.optional("products", Node.texts) or (),
    )
    return number_items([(("kite/profile",), record)])


def _optional_text(row: Node, name: str) -> str | None:
    return row.optional(name, Node.text) or None


def _side(node: Node) -> Literal["buy", "sell"]:
    match node.text():
        case "BUY":
            return "buy"
        case "SELL":
            return "sell"
    raise node.bad("BUY or SELL")
