"""For which periods a document of Fi has every row, so that a row that is not in it is gone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from server.platforms.document import Node
from server.platforms.fi_money import items as fi_items
from server.platforms.fi_money import periods
from server.platforms.records import Period


def entry(name: str, *days: str) -> dict[str, object]:
    return {"bank": name, "txns": [["1", "n", day, 2, "m", "5"] for day in days]}


def statements(*entries: dict[str, object]) -> list[Period]:
    return periods.statements(Node({"bankTransactions": list(entries)}, "fetch_it"))


def since(day: int, group: str, field: str = "institution") -> Period:
    return Period(field, group, datetime(2026, 1, day, tzinfo=UTC))  # type: ignore[arg-type]


def test_the_oldest_day_of_a_statement_may_be_cut() -> None:
    assert statements(entry("A", "2026-01-20", "2026-01-03", "2026-01-09")) == [since(4, "A")]


def test_of_a_banks_accounts_the_one_that_begins_last_decides() -> None:
    long, short = entry("A", "2026-01-03", "2026-01-20"), entry("A", "2026-01-15")
    for entries in ((long, short), (short, long)):
        assert statements(*entries, entry("B", "2026-01-01")) == [since(16, "A"), since(2, "B")]


@pytest.mark.parametrize("document", [{}, {"bankTransactions": []}])
def test_nothing_follows_from_what_is_absent(document: object) -> None:
    assert periods.statements(Node(document, "fetch_it")) == []
    assert statements(entry("A"), {"bank": "B"}) == []
    assert periods.stock_trades([]) == periods.fund_trades([]) == []


def test_the_trades_of_a_security_are_all_there() -> None:
    rows = [[1, "2026-01-09", 8], [2, "2026-01-05", 3, 415.6]]
    document = {"stockTransactions": [{"isin": "I", "txns": rows}, {"isin": "J", "txns": []}]}
    trades = fi_items.stock_trades(Node(document, "fetch_it"))
    assert periods.stock_trades(trades) == [since(5, "I", "isin")]


@pytest.mark.parametrize(("count", "first"), [(499, 5), (500, 6)])
def test_of_fund_trades_the_oldest_are_left_out(count: int, first: int) -> None:
    """As many as Fi sends at most: others of that day may be missing."""
    rows = [[1, "2026-01-05", 10, number, 10] for number in range(1, count + 1)]
    document = {"mfTransactions": [{"isin": "I", "folioId": "7", "txns": rows}]}
    trades = fi_items.fund_trades(Node(document, "fetch_it"))
    assert periods.fund_trades(trades) == [since(first, "I", "isin")]


def test_of_a_funds_folios_the_one_that_begins_last_decides() -> None:
    folios = {"7": "2026-01-05", "8": "2026-01-09"}
    funds = [
        {"isin": "I", "folioId": folio, "txns": [[1, day, 10, 1, 10]]}
        for folio, day in folios.items()
    ]
    trades = fi_items.fund_trades(Node({"mfTransactions": funds}, "fetch_it"))
    assert periods.fund_trades(trades) == [since(9, "I", "isin")]
