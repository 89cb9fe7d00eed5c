from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from server.platforms.document import Node
from server.platforms.fi_money.items import stock_trades
from server.platforms.identity import content_hash, number_items
from server.platforms.records import Holding, Item, Money

DAYS = st.dates(date(2024, 1, 1), date(2024, 1, 6)).map(date.isoformat)
PRICES = st.sampled_from([None, 10, 10.5])
ROWS = st.lists(
    st.tuples(st.integers(1, 4), DAYS, st.integers(1, 3), PRICES).map(list), max_size=30
)


def items(rows: Sequence[object]) -> list[Item]:
    document = {"stockTransactions": [{"isin": "INE000T01010", "txns": list(rows)}]}
    return stock_trades(Node(document, "fetch_stock_transactions"))


def keys(rows: Sequence[object]) -> set[str]:
    return {item.key for item in items(rows)}


@given(ROWS)
def test_no_row_is_lost_and_no_key_given_twice(rows: list[object]) -> None:
    assert len(keys(rows)) == len(rows)


@given(st.data())
def test_the_order_of_rows_does_not_matter(data: st.DataObject) -> None:
    rows = data.draw(ROWS)
    assert keys(data.draw(st.permutations(rows))) == keys(rows)


@given(ROWS, st.integers(1, 6))
def test_a_window_that_slides_by_days_keeps_the_keys_of_what_stays(
    rows: list[list[object]], first: int
) -> None:
    stays = [row for row in rows if str(row[1]) >= f"2024-01-0{first}"]
    assert keys(stays) <= keys(rows)


@given(ROWS, ROWS)
def test_new_rows_leave_the_old_keys_alone(old: list[object], new: list[object]) -> None:
    assert keys(old) <= keys([*new, *old])


def test_equal_rows_are_numbered() -> None:
    first, second, other = items(
        [[1, "2024-01-02", 10, 8], [1, "2024-01-02", 10.0, 8], [2, "2024-01-02", 10, 8]]
    )
    assert re.fullmatch(r"[0-9a-f]{64}\.0", first.key)
    assert second.key == first.key.replace(".0", ".1")
    assert other.key.endswith(".0")


def test_a_number_is_the_same_however_it_is_spelled() -> None:
    spellings = ["8", "8.0", "8.00", "8.00000000000001"]
    assert len({content_hash(["row", Decimal(spelling)]) for spelling in spellings}) == 1
    assert content_hash(["row", Decimal(8)]) != content_hash(["row", Decimal("8.01")])


def test_a_missing_part_is_not_an_empty_one() -> None:
    assert content_hash(["row", None, "a"]) != content_hash(["row", "", "a"])
    assert content_hash(["ab", "c"]) != content_hash(["a", "bc"])


def test_holdings_that_share_all_that_names_them_keep_their_keys_when_reordered() -> None:
    folios = [
        (("scheme", "INF000T01020"), Holding("mutual_fund", "A fund", value=Money(Decimal(value))))
        for value in (30, 10, 20)
    ]
    before = {item.record: item.key for item in number_items(folios)}
    after = {item.record: item.key for item in number_items(reversed(folios))}
    assert before == after
    assert len(set(before.values())) == 3
