from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest

from server.platforms.base import PlatformDataError, PlatformError
from server.platforms.document import Node, parse
from server.platforms.fi_money import items as fi_items
from server.platforms.records import Item, Money, Profile, Trade, Transaction

LINE = ["1499", "UPI-TEST STORE-ORDER 77", "2026-01-18", 2, "OTHERS", "52310"]


def node(value: object) -> Node:
    return parse(json.dumps(value), "fetch_it")


def bank(*entries: object) -> list[Item]:
    return fi_items.transactions(node({"bankTransactions": list(entries)}))


def stocks(*rows: object) -> list[Item]:
    document = {"stockTransactions": [{"isin": "INE000T01010", "txns": list(rows)}]}
    return fi_items.stock_trades(node(document))


def test_a_bank_row() -> None:
    [item] = bank({"bank": "Test Bank", "txns": [LINE]})
    assert item.record == Transaction(
        date=date(2026, 1, 18), direction="debit", amount=Money(Decimal(1499), "INR"),
        narration="UPI-TEST STORE-ORDER 77", mode="OTHERS", institution="Test Bank",
        balance_after=Money(Decimal(52310), "INR"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "direction"),
    [(1, "credit"), (2, "debit"), (3, "other"), (4, "credit"), (5, "debit"), (6, "debit"),
     (7, "other"), (8, "other"), (9, "other")],
)  # fmt: skip
def test_the_type_of_a_bank_row_gives_its_direction(kind: int, direction: str) -> None:
    [item] = bank({"bank": "Test Bank", "txns": [[*LINE[:3], kind, *LINE[4:]]]})
    assert isinstance(item.record, Transaction)
    assert item.record.direction == direction


def test_rows_may_be_longer_and_shorter_than_described() -> None:
    [usual] = bank({"bank": "Test Bank", "txns": [LINE]})
    [longer] = bank({"bank": "Test Bank", "txns": [[*LINE, "new column"]]})
    [shorter] = bank({"bank": "Test Bank", "txns": [LINE[:4]]})
    assert longer == usual
    assert isinstance(shorter.record, Transaction)
    assert (shorter.record.mode, shorter.record.balance_after) == ("", None)


def test_entries_of_one_bank_are_one_group() -> None:
    """Entries change places between answers, so a row's entry must not be part of its identity."""
    other = ["20", *LINE[1:]]
    one_way = bank({"bank": "B", "txns": [LINE, other]}, {"bank": "B", "txns": [LINE]})
    other_way = bank({"bank": "B", "txns": [LINE]}, {"bank": "B", "txns": [other, LINE]})
    assert {item.key for item in one_way} == {item.key for item in other_way}
    assert len({item.key for item in one_way}) == 3
    [elsewhere] = bank({"bank": "C", "txns": [LINE]})
    assert elsewhere.key not in {item.key for item in one_way}


def test_stock_rows_with_and_without_a_price() -> None:
    bought, bonus = stocks([1, "2025-11-04", 8, 415.6], [3, "2025-12-01", 4])
    assert bought.record == Trade(
        side="buy", quantity=Decimal(8), date=date(2025, 11, 4), isin="INE000T01010",
        price=Decimal("415.6"),
    )  # fmt: skip
    assert bonus.record == Trade(
        side="bonus", quantity=Decimal(4), date=date(2025, 12, 1), isin="INE000T01010"
    )


def test_a_fund_trade_is_the_same_in_both_shapes() -> None:
    positional = fi_items.fund_trades(
        node({
            "schemaDescription": "prose",
            "mfTransactions": [{
                "isin": "INF000T01020", "schemeName": "Test Fund", "folioId": "90017734",
                "txns": [[1, "2025-09-10", 48.2215, 62.2129, 3000], [2, "2025-09-11", 48, 1, 48]],
            }],
        })
    )  # fmt: skip
    trade = {
        "isinNumber": "INF000T01020", "folioId": "90017734", "externalOrderType": "BUY",
        "transactionDate": "2025-09-09T18:30:00Z", "transactionUnits": 62.2129,
        "purchasePrice": {"currencyCode": "INR", "units": "48", "nanos": 221500000},
        "transactionAmount": {"currencyCode": "INR", "units": "3000"},
        "transactionMode": "N", "schemeName": "Test Fund",
    }  # fmt: skip
    spelled_out = fi_items.fund_trades(node({"transactions": [trade]}))
    assert positional[:1] == spelled_out
    assert spelled_out[0].record == Trade(
        side="buy", quantity=Decimal("62.2129"), date=date(2025, 9, 10), isin="INF000T01020",
        fund="Test Fund", folio="90017734", price=Decimal("48.2215"),
        amount=Money(Decimal(3000), "INR"),
    )  # fmt: skip
    assert len(fi_items.fund_trades(node({"transactions": [trade, trade]}))) == 2


def credit_report(born: object) -> Node:
    details = {"currentApplicantDetails": {"dateOfBirthApplicant": born}}
    data = {"currentApplication": {"currentApplicationDetails": details}}
    return node({"creditReports": [{"creditReportData": data, "vendor": "TEST"}]})


def test_profile_has_the_birth_date_and_the_banks() -> None:
    banks = node({"bankTransactions": [{"bank": "Z"}, {"bank": "A"}, {"bank": "Z", "txns": []}]})
    born = fi_items.birth_date(credit_report("19910202"))
    [item] = fi_items.profile("fi_1", born, fi_items.bank_names(banks))
    assert item.record == Profile(
        platform_user_id="fi_1", account_type="mcp", date_of_birth=date(1991, 2, 2),
        institutions=("A", "Z"),
    )  # fmt: skip


def test_profile_of_someone_fi_knows_nothing_about() -> None:
    nothing = fi_items.birth_date(node({})), fi_items.bank_names(node({}))
    [item] = fi_items.profile("fi_1", *nothing)
    assert item.record == Profile(platform_user_id="fi_1", account_type="mcp")
    assert fi_items.birth_date(credit_report("")) is None


@pytest.mark.parametrize("born", ["1991-02-02", "19911302", "199102", 19910202])
def test_a_birth_date_of_another_form_is_refused(born: object) -> None:
    with pytest.raises(PlatformDataError):
        fi_items.birth_date(credit_report(born))


PARSERS = [fi_items.transactions, fi_items.stock_trades, fi_items.fund_trades]


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("document", [{}, {"schemaDescription": "prose"}])
def test_absent_data_is_no_items(parser: Callable[[Node], list[Item]], document: object) -> None:
    assert parser(node(document)) == []


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("document", [[], None, "nothing", 5, {"creditReports": []}])
def test_another_document_is_not_absent_data(
    parser: Callable[[Node], list[Item]], document: object
) -> None:
    with pytest.raises(PlatformDataError, match=r"^fetch_it: expected "):
        parser(node(document))


@pytest.mark.parametrize(
    ("parser", "document"),
    [
        (fi_items.transactions, {"bankTransactions": {}}),
        (fi_items.transactions, {"bankTransactions": [{"txns": [LINE]}]}),
        (fi_items.transactions, {"bankTransactions": [{"bank": "B", "txns": [LINE[:3]]}]}),
        (
            fi_items.transactions,
            {"bankTransactions": [{"bank": "B", "txns": [["1,499", *LINE[1:]]]}]},
        ),
        (fi_items.transactions, {"bankTransactions": [{"bank": "B", "txns": [["-5", *LINE[1:]]]}]}),
        (fi_items.transactions, {"bankTransactions": [{"bank": "B", "txns": ["row"]}]}),
        (
            fi_items.stock_trades,
            {"stockTransactions": [{"isin": "I", "txns": [[5, "2025-11-04", 8]]}]},
        ),
        (
            fi_items.stock_trades,
            {"stockTransactions": [{"isin": "I", "txns": [[1, "04-11-2025", 8]]}]},
        ),
        (
            fi_items.stock_trades,
            {"stockTransactions": [{"isin": "I", "txns": [[1, "2025-11-04"]]}]},
        ),
        (
            fi_items.fund_trades,
            {"mfTransactions": [{"isin": "I", "txns": [[3, "2025-09-10", 1, 1, 1]]}]},
        ),
        (
            fi_items.fund_trades,
            {"transactions": [{"isinNumber": "I", "externalOrderType": "HOLD"}]},
        ),
        (fi_items.bank_names, {"bankTransactions": [{"bank": 7}]}),
        (fi_items.birth_date, {"netWorthResponse": {}}),
    ],
)
def test_a_wrong_field_is_named(parser: Callable[[Node], object], document: object) -> None:
    with pytest.raises(PlatformDataError, match=r"^fetch_it.*: expected ") as caught:
        parser(node(document))
    assert "TEST STORE" not in str(caught.value)


def test_a_wrong_row_costs_none_of_the_others() -> None:
    def read(how: Callable[[Node], list[Item]], **document: object) -> tuple[int, list[str]]:
        faults: list[PlatformError] = []
        items = how(Node(document, "fetch_it", faults))
        return len(items), [str(fault).removeprefix("fetch_it.") for fault in faults]

    wrong = [LINE[0], LINE[1], "18 January", *LINE[3:]]
    entries = [{"txns": [LINE]}, {"bank": "B", "txns": [LINE, wrong, "row", LINE]}]
    assert read(fi_items.transactions, bankTransactions=entries) == (2, [
        "bankTransactions[]: expected a field bank",
        "bankTransactions[].txns[].date: expected a date YYYY-MM-DD",
        "bankTransactions[].txns[]: expected an array",
    ])  # fmt: skip
    rows = [[1, "2025-11-04", 8, 415.6], [9, "2025-11-04", 8]]
    assert read(fi_items.stock_trades, stockTransactions=[{"isin": "I", "txns": rows}, {}]) == (1, [
        "stockTransactions[].txns[].type: expected 1 to 4",
        "stockTransactions[]: expected a field isin",
    ])  # fmt: skip
    fund = {"isin": "I", "schemeName": 7, "txns": [[1, "2025-09-10", 48.2, 62.2, 3000], [3]]}
    assert read(fi_items.fund_trades, mfTransactions=[fund], transactions=[{}]) == (1, [
        "mfTransactions[].schemeName: expected a string",
        "mfTransactions[].txns[].type: expected 1 or 2",
        "transactions[]: expected a field externalOrderType",
    ])  # fmt: skip


def test_a_bank_row_needs_no_text() -> None:
    [item] = bank({"bank": "Test Bank", "txns": [["1499", None, "2026-01-18", 2]]})
    assert isinstance(item.record, Transaction)
    assert item.record.narration == ""
