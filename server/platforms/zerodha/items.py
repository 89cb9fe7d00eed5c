"""Kite Connect payloads (the `data` of a reply) to items. Pure.

Source: Kite Connect documentation, and the example replies Zerodha publishes.

Kite names no currency: everything a retail client of an Indian broker holds there is in rupees.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from server.platforms.document import Node, exact_product, plain
from server.platforms.identity import number_items
from server.platforms.records import Holding, Item, Money, Profile, Trade

Instrument = tuple[str, str]  # exchange, trading symbol


def rupees(value: Decimal | None) -> Money | None:
    return None if value is None else Money(value, "INR")


def holdings(data: Node) -> list[Item]:
    """`GET /portfolio/holdings`.

    Units owned are `quantity` (settled) plus `t1_quantity` (bought, delivered the next day), which
    is the usual reading; the documentation's revisions do not agree with each other.
    """
    rows = []
    for row in data.each():
        exchange, symbol = row.get("exchange").word(), row.get("tradingsymbol").word()
        arriving = row.read("t1_quantity", Node.number)
        settled = row.get("quantity").number()
        quantity = settled if arriving is None else plain(settled + arriving)
        if quantity is None:
            raise row.bad("a quantity within bounds")
        last_price = row.get("last_price").number()
        record = Holding(
            kind="equity",
            name=symbol,
            isin=_optional_text(row, "isin"),
            symbol=symbol,
            exchange=exchange,
            quantity=quantity,
            average_price=row.get("average_price").number(),
            last_price=last_price,
            value=rupees(exact_product(last_price, quantity)),
        )
        key = ("kite/holding", exchange, symbol, row.read("product", Node.text) or "")
        rows.append((key, record))
    return number_items(rows)


def positions(data: Node) -> list[Item]:
    """`GET /portfolio/positions`, its `net` list only: `day` says part of the same again.

    `value` is the market value (quantity x multiplier x last price, negative for a short position).
    Kite's own `value` is what was received minus what was paid, which is not what a position is
    worth. A position closed today stays listed with quantity 0.
    """
    rows = []
    for row in data.get("net").each():
        exchange, symbol = row.get("exchange").word(), row.get("tradingsymbol").word()
        product = row.get("product").word()
        quantity, last_price = row.get("quantity").number(), row.get("last_price").number()
        multiplier = row.read("multiplier", Node.number)
        lot = Decimal(1) if multiplier is None else multiplier
        record = Holding(
            kind="position",
            name=f"{symbol} ({product})",
            symbol=symbol,
            exchange=exchange,
            quantity=quantity,
            average_price=row.get("average_price").number(),
            last_price=last_price,
            value=rupees(exact_product(quantity, lot, last_price)),
        )
        rows.append((("kite/position", exchange, symbol, product), record))
    return number_items(rows)


def fund_holdings(data: Node) -> list[Item]:
    """`GET /mf/holdings`. A fund's `tradingsymbol` is its ISIN; `last_price` is its NAV."""
    rows = []
    for row in data.each():
        isin, folio = row.get("tradingsymbol").word(), _optional_text(row, "folio")
        quantity, nav = row.get("quantity").number(), row.get("last_price").number()
        record = Holding(
            kind="mutual_fund",
            name=row.get("fund").text() or isin,
            isin=isin,
            folio=folio,
            quantity=quantity,
            average_price=row.get("average_price").number(),
            last_price=nav,
            value=rupees(exact_product(quantity, nav)),
            as_of=row.read("last_price_date", Node.day_or_instant),
        )
        rows.append((("kite/fund", folio, isin), record))
    return number_items(rows)


def cash(data: Node) -> list[Item]:
    """`GET /user/margins`: the cash of each segment (`equity`, `commodity`), also 0 and below."""
    rows = []
    for segment, node in data.members():
        balance = node.get("available").get("live_balance").number()
        record = Holding(kind="cash", name=f"Cash ({segment})", value=rupees(balance))
        rows.append((("kite/cash", segment), record))
    return number_items(rows)


def isins(data: Node) -> dict[Instrument, str]:
    """The ISINs of `GET /portfolio/holdings`, which `GET /trades` lacks."""
    return {
        (row.get("exchange").word(), row.get("tradingsymbol").word()): isin
        for row in data.each()
        if (isin := _optional_text(row, "isin"))
    }


def trades(data: Node, known_isins: Mapping[Instrument, str]) -> list[Item]:
    """`GET /trades`: the fills of the trading day, in IST. `average_price` is this fill's price.

    `order_timestamp` is a time of day here, unlike in other replies, and is not read. The exchange
    issues `trade_id`, so it identifies a fill only together with the exchange and the order.
    """
    rows = []
    for row in data.each():
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
        rows.append((("kite/trade", exchange, order, trade), record))
    return number_items(rows)


def fund_trades(data: Node) -> list[Item]:
    """`GET /mf/orders`, 7 days of them: the COMPLETE ones with a quantity. They have a day only."""
    rows = []
    for row in data.each():
        if row.get("status").text() != "COMPLETE":
            continue
        quantity = row.get("quantity").number()
        if quantity <= 0:
            continue
        day = row.read("exchange_timestamp", Node.day_or_instant)
        isin = row.get("tradingsymbol").word()
        record = Trade(
            side=_side(row.get("transaction_type")),
            quantity=quantity,
            date=day or row.read("order_timestamp", Node.day_or_instant),
            isin=isin,
            fund=_optional_text(row, "fund"),
            folio=_optional_text(row, "folio"),
            price=row.get("average_price").number(),
            # A redemption by units reports an amount of 0, which is not what it paid.
            amount=rupees(row.read("amount", Node.number) or None),
        )
        rows.append((("kite/fund-order", row.get("order_id").word()), record))
    return number_items(rows)


def profile(data: Node) -> list[Item]:
    """`GET /user/profile`."""
    record = Profile(
        platform_user_id=data.get("user_id").word(),
        name=_optional_text(data, "user_name"),
        email=_optional_text(data, "email"),
        broker=_optional_text(data, "broker"),
        account_type=_optional_text(data, "user_type"),
        exchanges=data.read("exchanges", Node.texts) or (),
        products=data.read("products", Node.texts) or (),
    )
    return number_items([(("kite/profile",), record)])


def _optional_text(row: Node, name: str) -> str | None:
    return row.read(name, Node.text) or None


def _side(node: Node) -> Literal["buy", "sell"]:
    match node.text():
        case "BUY":
            return "buy"
        case "SELL":
            return "sell"
    raise node.bad("BUY or SELL")
