"""Fi tool results to transactions, trades and a profile. Pure.

Shapes as observed on the Fi MCP dev server and in Fi's published sample responses. Absent data is
an empty object or a missing key; rows are arrays read by position.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Literal, TypeVar

from finlink_words import TradeSide

from server.platforms.document import Node
from server.platforms.identity import Part, number_items
from server.platforms.records import Item, Money, Profile, Trade, Transaction

T = TypeVar("T")
Rows = list[tuple[tuple[Part, ...], Trade]]

# Prose about the positional rows, beside the data and also where there is none.
_DESCRIPTION = "schemaDescription"

# The effect of a bank row's type on the balance. Opening (3) and closing (7) are markers, 8 is
# "others"; a type of a later version is no reason to lose the row.
_DIRECTIONS: dict[int, Literal["credit", "debit"]] = {
    1: "credit", 2: "debit", 4: "credit", 5: "debit", 6: "debit",
}  # fmt: skip
_STOCK_SIDES: dict[int, TradeSide] = {
    1: "buy", 2: "sell", 3: "bonus", 4: "split",
}  # fmt: skip
_FUND_SIDES: dict[int, Literal["buy", "sell"]] = {1: "buy", 2: "sell"}
_ORDER_TYPES: dict[str, Literal["buy", "sell"]] = {"BUY": "buy", "SELL": "sell"}


def section(document: Node, *names: str) -> dict[str, Node]:
    """The named parts of a tool's result that are there; none for absent data.

    A result that holds something else instead is a wrong reply, not an empty one: taken for empty
    it would close every holding of a user.
    """
    members = document.as_object()
    found = {name: document.get(name) for name in names if name in members}
    if not found and set(members) - {_DESCRIPTION}:
        raise document.bad(" or ".join(names))
    return found


def transactions(document: Node) -> list[Item]:
    """`fetch_bank_transactions`: rows of [amount, narration, date, type, mode, balance after].

    One bank may appear several times, once an account, with nothing to distinguish them but the place: all
    its entries are one group.
    """
    banks = section(document, "bankTransactions").values()
    return number_items(_flat(accounts.rows(_account) for accounts in banks))


def _account(account: Node) -> list[tuple[tuple[Part, ...], Transaction]]:
    return _lines(account, partial(_transaction, account.get("bank").text()))


def _transaction(bank: str, line: Node) -> tuple[tuple[Part, ...], Transaction]:
    cells = line.row("amount", "narration", "date", "type", "mode", "balance")
    amount = line.cell(cells, "amount").number_text()
    if amount < 0:
        raise cells["amount"].bad("an amount without sign")
    balance = cells["balance"].number_text() if "balance" in cells else None
    kind = line.cell(cells, "type").integer()
    record = Transaction(
        date=line.cell(cells, "date").day(),
        direction=_DIRECTIONS.get(kind, "other"),
        amount=Money(amount, "INR"),
        narration=cells["narration"].text() if "narration" in cells else "",
        mode=cells["mode"].text() if "mode" in cells else "",
        institution=bank,
        balance_after=None if balance is None else Money(balance, "INR"),
    )
    key = ("fi/bank", bank, amount, record.narration, record.date, kind, record.mode, balance)
    return key, record


def stock_trades(document: Node) -> list[Item]:
    """`fetch_stock_transactions`: rows of [type, date, quantity, price?], by ISIN."""
    stocks = section(document, "stockTransactions").values()
    return number_items(_flat(entries.rows(_stock) for entries in stocks))


def _stock(stock: Node) -> Rows:
    return _lines(stock, partial(_stock_trade, stock.get("isin").word()))


def _stock_trade(isin: str, line: Node) -> tuple[tuple[Part, ...], Trade]:
    cells = line.row("type", "date", "quantity", "price")
    kind = line.cell(cells, "type")
    side = _STOCK_SIDES.get(kind.integer())
    if side is None:
        raise kind.bad("1 to 4")
    day = line.cell(cells, "date").day()
    quantity = line.cell(cells, "quantity").number()
    price = cells["price"].number() if "price" in cells else None
    record = Trade(side=side, quantity=quantity, date=day, isin=isin, price=price)
    return ("fi/stock", isin, side, day, quantity, price), record


def fund_trades(document: Node) -> list[Item]:
    """`fetch_mf_transactions`, in either published shape; a trade has one identity in both.

    `mfTransactions`: rows of [type, date, NAV, units, amount], by fund and folio.
    `transactions`: an object a trade, its day given as midnight in India expressed in UTC.
    """
    found = section(document, "mfTransactions", "transactions")
    rows: Rows = []
    if (positional := found.get("mfTransactions")) is not None:
        rows += _flat([positional.rows(_positional_fund)])
    if (spelled_out := found.get("transactions")) is not None:
        rows += spelled_out.rows(_spelled_out_trade)
    return number_items(rows)


def _positional_fund(fund: Node) -> Rows:
    isin, folio = fund.get("isin").word(), fund.read("folioId", Node.text) or ""
    name = fund.optional("schemeName", Node.text)
    return _lines(fund, partial(_positional_trade, isin, folio, name))


def _positional_trade(
    isin: str, folio: str, fund: str | None, line: Node
) -> tuple[tuple[Part, ...], Trade]:
    cells = line.row("type", "date", "nav", "units", "amount")
    kind = line.cell(cells, "type")
    side = _FUND_SIDES.get(kind.integer())
    if side is None:
        raise kind.bad("1 or 2")
    return _fund_trade(
        side=side,
        day=line.cell(cells, "date").day(),
        isin=isin,
        folio=folio,
        fund=fund,
        nav=cells["nav"].number() if "nav" in cells else None,
        units=line.cell(cells, "units").number(),
        amount=Money(cells["amount"].number(), "INR") if "amount" in cells else None,
    )


def _spelled_out_trade(trade: Node) -> tuple[tuple[Part, ...], Trade]:
    order_type = trade.get("externalOrderType")
    side = _ORDER_TYPES.get(order_type.text())
    if side is None:
        raise order_type.bad("BUY or SELL")
    stamp = trade.get("transactionDate")
    day = stamp.day_or_instant()
    if day is None:
        raise stamp.bad("a date")
    price = trade.read("purchasePrice", Node.money)
    return _fund_trade(
        side=side,
        day=day,
        isin=trade.get("isinNumber").word(),
        folio=trade.read("folioId", Node.text) or "",
        fund=trade.optional("schemeName", Node.text),
        nav=None if price is None else price.value,
        units=trade.get("transactionUnits").number(),
        amount=trade.optional("transactionAmount", Node.money),
    )


def _fund_trade(
    *, side: Literal["buy", "sell"], day: date, isin: str, folio: str, fund: str | None,
    nav: Decimal | None, units: Decimal, amount: Money | None,
) -> tuple[tuple[Part, ...], Trade]:  # fmt: skip
    record = Trade(
        side=side, quantity=units, date=day, isin=isin, fund=fund or None, folio=folio or None,
        price=nav, amount=amount,
    )  # fmt: skip
    # The amount stays out: one shape rounds it and the other lists stamp duty beside it.
    return ("fi/fund", isin, folio, side, day, nav, units), record


def bank_names(document: Node) -> tuple[str, ...]:
    """The banks of `fetch_bank_transactions`, each once, in alphabetical order."""
    entries = section(document, "bankTransactions").values()
    names = {name for banks in entries for name in banks.rows(lambda bank: bank.get("bank").text())}
    return tuple(sorted(names - {""}))


def birth_date(document: Node) -> date | None:
    """The first birth date in `fetch_credit_report`; the rest of a report is not looked at."""
    for reports in section(document, "creditReports").values():
        for report in reports.each():
            born = report.get("creditReportData").descend(
                "currentApplication", "currentApplicationDetails", "currentApplicantDetails",
                "dateOfBirthApplicant",
            )  # fmt: skip
            if born is not None and born.text():
                return _compact_day(born)
    return None


def _compact_day(node: Node) -> date:
    text = node.text()
    with suppress(ValueError):
        if len(text) == 8 and text.isascii() and text.isdigit():
            return date.fromisoformat(text)
    raise node.bad("a date YYYYMMDD")


def profile(
    platform_user_id: str | None, born: date | None, institutions: Sequence[str]
) -> list[Item]:
    """One profile always: Fi knows the user, even if it returns nothing about them."""
    record = Profile(
        platform_user_id=platform_user_id,
        account_type="mcp",
        date_of_birth=born,
        institutions=institutions,
    )
    return number_items([(("fi/profile",), record)])


def _lines(entry: Node, how: Callable[[Node], T]) -> list[T]:
    lines = entry.find("txns")
    return [] if lines is None else lines.rows(how)


def _flat(groups: Iterable[Iterable[Iterable[T]]]) -> list[T]:
    return [row for group in groups for rows in group for row in rows]
