"""The calls of one run to Fi Money."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

from finlink_words import DataType

from server.platforms.base import (
    Contents,
    Fetched,
    PlatformDataError,
    PlatformError,
    PlatformSession,
    PlatformUnavailable,
    SessionEnded,
    Throttled,
)
from server.platforms.contents import NO_DATA, ContentsReader
from server.platforms.document import Faults, Node, parse
from server.platforms.fi_money import items as fi_items
from server.platforms.fi_money import net_worth as fi_net_worth
from server.platforms.fi_money import periods as fi_periods
from server.platforms.mcp import McpClient
from server.platforms.session_lock import SessionLock

LABEL = "Fi Money"
_LOGIN_REQUIRED = "login_required"
_READ_BY: Mapping[DataType, Sequence[str]] = {
    "transactions": ("fetch_bank_transactions",),
    "portfolio": ("fetch_net_worth", "fetch_epf_details"),
    "trades": ("fetch_stock_transactions", "fetch_mf_transactions"),
    "profile": ("fetch_credit_report", "fetch_bank_transactions"),
}


class FiReading:
    def __init__(self, mcp: McpClient, session: PlatformSession, lock: SessionLock) -> None:
        self._mcp = mcp
        self._session = session
        self._lock = lock
        self._replies: dict[str, str | PlatformError] = {}  # by tool

    async def fetch(self, data_type: DataType) -> Fetched:
        hashed = hashlib.sha256()
        for tool in _READ_BY[data_type]:
            reply = await self._reply(tool)
            # Fi knows its user in any case: what these tools add to a profile may be missing.
            if isinstance(reply, PlatformUnavailable) and data_type != "profile":
                raise reply
            text = str(reply).encode("utf-8", "surrogatepass")
            hashed.update(b"%d/%b" % (len(text), text))
        return Fetched(hashed.hexdigest(), partial(self._contents, data_type))

    async def _reply(self, tool: str) -> str | PlatformError:
        """The text that a tool returns, or why it gives none, which is no reason not to ask the others."""
        if tool not in self._replies:
            try:
                self._replies[tool] = await self._text(tool)
            except Throttled:
                raise
            except (PlatformUnavailable, *NO_DATA) as error:
                self._replies[tool] = error
        return self._replies[tool]

    async def _text(self, tool: str) -> str:
        async with self._lock.call():
            text = await self._mcp.call_tool(self._session.secrets["session_id"], tool)
        if _LOGIN_REQUIRED in text:
            with suppress(PlatformDataError):
                _document(text, tool)  # which mostly says that there is no more to be had
        return text

    def _document(self, tool: str, faults: Faults) -> Node:
        reply = self._replies[tool]
        if isinstance(reply, PlatformError):
            raise reply
        return _document(reply, tool, faults)

    def _contents(self, data_type: DataType) -> Contents:
        match data_type:
            case "transactions":
                return self._transactions()
            case "portfolio":
                return self._portfolio()
            case "trades":
                return self._trades()
            case "profile":
                return self._profile()

    def _transactions(self) -> Contents:
        reader, document = ContentsReader(), partial(self._document, "fetch_bank_transactions")
        items = reader.read(document, fi_items.transactions) or []
        periods = [] if reader.faults else fi_periods.statements(document([]))
        return reader.contents(items, periods)

    def _portfolio(self) -> Contents:
        reader = ContentsReader()
        net_worth = partial(self._document, "fetch_net_worth")
        provident_fund = partial(self._document, "fetch_epf_details")
        items = reader.read(net_worth, fi_net_worth.net_worth) or []
        more = reader.read(provident_fund, fi_net_worth.provident_fund) or []
        return reader.contents([*items, *more])

    def _trades(self) -> Contents:
        reader = ContentsReader()
        stocks = partial(self._document, "fetch_stock_transactions")
        funds = partial(self._document, "fetch_mf_transactions")
        stock_trades = reader.read(stocks, fi_items.stock_trades) or []
        fund_trades = reader.read(funds, fi_items.fund_trades) or []
        periods = fi_periods.stock_trades(stock_trades) + fi_periods.fund_trades(fund_trades)
        return reader.contents([*stock_trades, *fund_trades], periods)

    def _profile(self) -> Contents:
        reader = ContentsReader()
        credit_report = partial(self._document, "fetch_credit_report")
        banks = partial(self._document, "fetch_bank_transactions")
        born = reader.read(credit_report, fi_items.birth_date)
        names = reader.read(banks, fi_items.bank_names) or ()
        return reader.contents(fi_items.profile(self._session.platform_user_id, born, names))


def _document(text: str, tool: str, faults: Faults | None = None) -> Node:
    """Raises SessionEnded or PlatformDataError."""
    document = parse(text, tool, faults)
    if wants_login(document):
        raise SessionEnded(f"{LABEL} wants a new login")
    return document


def wants_login(document: Node) -> bool:
    """Whether this is the reply that stands in for data while nobody is logged in."""
    return isinstance(document.value, dict) and document.value.get("status") == _LOGIN_REQUIRED
