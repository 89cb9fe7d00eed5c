"""Whatever a platform sends, a parser replies with items or a `PlatformDataError`."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.platforms.base import PlatformDataError
from server.platforms.document import Node, parse
from server.platforms.fi_money import items as fi_items
from server.platforms.fi_money import net_worth as fi_net_worth
from server.platforms.zerodha import items as kite_items

# The fields the parsers ask for, so that random documents get past the first question.
NAMES = [
    "bankTransactions", "bank", "txns", "stockTransactions", "mfTransactions", "transactions",
    "isin", "isinNumber", "folioId", "externalOrderType", "transactionDate", "transactionUnits",
    "purchasePrice", "schemeName", "netWorthResponse", "assetValues", "liabilityValues", "value",
    "netWorthAttribute", "units", "nanos", "currencyCode", "mfSchemeAnalytics", "schemeAnalytics",
    "schemeDetail", "enrichedAnalytics", "analytics", "schemeDetails", "nav", "currentValue",
    "accountDetailsBulkResponse", "accountDetailsMap", "accountDetails", "fipMeta", "fipId",
    "depositSummary", "currentBalance", "balanceDate", "uanAccounts", "rawDetails", "doj_epf",
    "est_details", "overall_pf_balance", "current_pf_balance", "creditReports",
    "creditReportData", "currentApplication", "currentApplicationDetails",
    "currentApplicantDetails", "dateOfBirthApplicant", "exchange", "tradingsymbol", "product",
    "quantity", "t1_quantity", "collateral_quantity", "mtf", "last_price", "average_price",
    "net", "multiplier", "fund", "folio", "last_price_date", "available", "live_balance", "order_id",
    "trade_id", "status",
    "transaction_type", "fill_timestamp", "exchange_timestamp", "amount", "user_id", "exchanges",
]  # fmt: skip
PARSERS: list[Callable[[Node], object]] = [
    kite_items.holdings, kite_items.positions, kite_items.fund_holdings, kite_items.cash,
    kite_items.isins, kite_items.fund_trades, kite_items.profile,
    lambda node: kite_items.trades(node, {}),
    fi_items.transactions, fi_items.stock_trades, fi_items.fund_trades, fi_items.bank_names,
    fi_items.birth_date, fi_net_worth.net_worth, fi_net_worth.provident_fund,
]  # fmt: skip
# A document each that is right, to be broken in one place.
RIGHT: list[tuple[Callable[[Node], object], object]] = [
    (
        fi_items.transactions,
        {"bankTransactions": [{"bank": "B", "txns": [["1", "n", "2026-01-18", 2, "m", "5"]]}]},
    ),
    (
        fi_items.stock_trades,
        {"stockTransactions": [{"isin": "I", "txns": [[1, "2026-01-18", 8, 415.5]]}]},
    ),
    (
        fi_items.fund_trades,
        {"mfTransactions": [{"isin": "I", "folioId": "1", "txns": [[1, "2026-01-18", 1, 2, 2]]}]},
    ),
    (
        fi_items.fund_trades,
        {
            "transactions": [
                {
                    "isinNumber": "I", "externalOrderType": "BUY", "transactionUnits": 1.5,
                    "transactionDate": "2025-09-09T18:30:00Z", "purchasePrice": {"units": "48"},
                }
            ]
        },
    ),
    (
        fi_net_worth.net_worth,
        {
            "netWorthResponse": {
                "assetValues": [{"netWorthAttribute": "ASSET_TYPE_EPF", "value": {"units": "1"}}]
            },
            "accountDetailsBulkResponse": {
                "accountDetailsMap": {
                    "k": {
                        "accountDetails": {"fipId": "f"},
                        "depositSummary": {"balanceDate": "2025-07-09T15:29:19Z"},
                    }
                }
            },
        },
    ),
    (
        kite_items.holdings,
        [
            {
                "exchange": "NSE", "tradingsymbol": "T", "product": "CNC", "quantity": 1,
                "t1_quantity": 2, "collateral_quantity": 3, "average_price": 1.5, "last_price": 2,
                "mtf": {"quantity": 4, "average_price": 1.25},
            }
        ],
    ),
    (
        kite_items.positions,
        {
            "net": [
                {
                    "exchange": "NSE", "tradingsymbol": "T", "product": "CNC", "quantity": 1,
                    "average_price": 1.5, "last_price": 2, "multiplier": 1,
                }
            ]
        },
    ),
]  # fmt: skip

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["BUY", "COMPLETE", "2026-01-18", "9999-12-31T23:59:59-23:59", "1", "-0"])
)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=25,
)


def is_total(parser: Callable[[Node], object], node: Node) -> None:
    with suppress(PlatformDataError):
        parser(node)


@pytest.mark.parametrize("parser", PARSERS)
@given(DOCUMENTS)
def test_any_document(parser: Callable[[Node], object], document: object) -> None:
    is_total(parser, Node(document, "call"))
    is_total(parser, Node(document, "call", []))
    is_total(parser, parse(json.dumps(document), "call"))


@pytest.mark.parametrize(("parser", "document"), RIGHT)
@given(st.data())
def test_a_right_document_with_one_wrong_place(
    parser: Callable[[Node], object], document: object, data: st.DataObject
) -> None:
    parser(Node(document, "call"))
    broken = _broken(document, data)
    is_total(parser, Node(broken, "call"))
    is_total(parser, Node(broken, "call", []))


@given(st.binary())
def test_any_bytes(body: bytes) -> None:
    is_total(lambda _: parse(body, "call"), Node(None, "call"))


def _broken(value: object, data: st.DataObject) -> object:
    """The same document, but for one value that is anything."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 9)):
        chosen = data.draw(st.sampled_from(sorted(value)))
        return {**value, chosen: _broken(value[chosen], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 9)):
        place = data.draw(st.integers(0, len(value) - 1))
        return [*value[:place], _broken(value[place], data), *value[place + 1 :]]
    return data.draw(DOCUMENTS)
