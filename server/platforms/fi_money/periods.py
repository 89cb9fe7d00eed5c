"""The periods for which a document has every row that Fi still reports. Pure.

Fi numbers no rows, so a row that a bank changed is another one. From these periods it follows that the
first one is gone. They are chosen so that no row counts as gone that is only too old: entries of one
group (accounts of a bank, folios of a fund) may go back further than others, so the one that begins last
decides, and an entry without rows says nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from server.platforms.document import Node
from server.platforms.fi_money.items import section
from server.platforms.records import Item, Period, Trade

# Of fund trades Fi sends no more, and leaves out the oldest.
_MOST_FUND_TRADES = 500


def statements(document: Node) -> list[Period]:
    """Of `fetch_bank_transactions`. Rows of about two months; the oldest day may be cut."""
    accounts = section(document, "bankTransactions").values()
    begun = (
        (each.get("bank").text(), _days(each)) for listed in accounts for each in listed.each()
    )
    return _periods("institution", begun, cut=True)


def _days(account: Node) -> list[date]:
    columns = ("amount", "narration", "date")
    return [line.row(*columns)["date"].day() for line in account.find_each("txns")]


def stock_trades(trades: Sequence[Item]) -> list[Period]:
    """Of `fetch_stock_transactions`, which has all there ever were."""
    return _periods("isin", _by_folio(trades), cut=False)


def fund_trades(trades: Sequence[Item]) -> list[Period]:
    """Of `fetch_mf_transactions`."""
    return _periods("isin", _by_folio(trades), cut=len(trades) >= _MOST_FUND_TRADES)


def _by_folio(trades: Sequence[Item]) -> Iterable[tuple[str, Sequence[date]]]:
    days: defaultdict[tuple[str, str | None], list[date]] = defaultdict(list)
    for item in trades:
        if isinstance(item.record, Trade) and item.record.isin and item.record.date:
            days[item.record.isin, item.record.folio].append(item.record.date)
    return [(isin, listed) for (isin, _), listed in days.items()]


def _periods(
    name: Literal["institution", "isin"],
    entries: Iterable[tuple[str, Sequence[date]]],
    *,
    cut: bool,
) -> list[Period]:
    """`cut`: of the first day some rows may be missing."""
    begun: dict[str, date] = {}
    for group, days in entries:
        if days:
            begun[group] = max(min(days), begun.get(group, date.min))
    return [
        Period(name, group, datetime.combine(day + timedelta(days=1 if cut else 0), time(), UTC))
        for group, day in begun.items()
    ]
