from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest

from server.platforms.base import PlatformDataError, PlatformError
from server.platforms.document import Node, parse
from server.platforms.fi_money.net_worth import net_worth, provident_fund
from server.platforms.records import Holding, Item, Money


def node(value: object) -> Node:
    return parse(json.dumps(value), "fetch_it")


def inr(units: int, nanos: int = 0) -> dict[str, object]:
    return {"currencyCode": "INR", "units": str(units), "nanos": nanos}


def totals(assets: list[object], liabilities: list[object] | None = None) -> list[Item]:
    response: dict[str, object] = {"assetValues": assets, "totalNetWorthValue": inr(1)}
    if liabilities is not None:
        response["liabilityValues"] = liabilities
    return net_worth(node({"netWorthResponse": response}))


def total(attribute: str, units: int) -> dict[str, object]:
    return {"netWorthAttribute": attribute, "value": inr(units)}


def account(details: dict[str, object], **summary: object) -> Holding:
    entry = {"accountDetails": details, **summary}
    document = {"accountDetailsBulkResponse": {"accountDetailsMap": {"key-1": entry}}}
    [item] = net_worth(node(document))
    assert isinstance(item.record, Holding)
    return item.record


def scheme(isin: str, units: float, value: int) -> dict[str, object]:
    return {
        "schemeDetail": {
            "amc": "TEST_AMC", "nameData": {"longName": "Test Fund"}, "isinNumber": isin,
            "nav": inr(81, 377600000),
        },
        "enrichedAnalytics": {
            "analytics": {"schemeDetails": {"currentValue": inr(value), "units": units}}
        },
    }  # fmt: skip


def test_liabilities_are_positive_wherever_they_stand() -> None:
    items = totals(
        [total("ASSET_TYPE_US_SECURITIES", 300), total("LIABILITY_TYPE_CREDIT_CARD", -71000)],
        [total("LIABILITY_TYPE_HOME_LOAN", 17000)],
    )
    assert [item.record for item in items] == [
        Holding("asset_total", "US securities", value=Money(Decimal(300), "INR")),
        Holding("liability_total", "Credit card", value=Money(Decimal(71000), "INR")),
        Holding("liability_total", "Home loan", value=Money(Decimal(17000), "INR")),
    ]


def test_a_total_is_the_same_item_in_either_list() -> None:
    [before] = totals([total("LIABILITY_TYPE_LOAN", -5)])
    [after] = totals([], [total("LIABILITY_TYPE_LOAN", 5)])
    assert before == after


def test_a_net_worth_of_nothing_but_its_total() -> None:
    assert net_worth(node({"netWorthResponse": {"totalNetWorthValue": inr(0)}})) == []
    assert net_worth(node({"netWorthResponse": {}, "mfSchemeAnalytics": {}})) == []
    assert net_worth(node({})) == []


def test_schemes_of_one_fund_are_all_kept_and_known_again_in_another_order() -> None:
    schemes = [scheme("INF000T01020", 10.5, 854), scheme("INF000T01020", 0.25, 20)]
    first = net_worth(node({"mfSchemeAnalytics": {"schemeAnalytics": schemes}}))
    again = net_worth(node({"mfSchemeAnalytics": {"schemeAnalytics": schemes[::-1]}}))
    assert first == again[::-1]
    assert first[0].record == Holding(
        kind="mutual_fund", name="Test Fund", isin="INF000T01020", institution="TEST_AMC",
        quantity=Decimal("10.5"), last_price=Decimal("81.3776"),
        value=Money(Decimal(854), "INR"),
    )  # fmt: skip


def test_a_savings_account() -> None:
    record = account(
        {
            "fipId": "TEST-FIP", "maskedAccountNumber": "XXXXXX9026",
            "accInstrumentType": "ACC_INSTRUMENT_TYPE_DEPOSIT", "fipMeta": {"name": "Test Bank"},
        },
        depositSummary={
            "currentBalance": inr(5225, 500000000), "balanceDate": "2025-07-09T19:29:19Z",
            "depositAccountType": "DEPOSIT_ACCOUNT_TYPE_SAVINGS",
        },
    )  # fmt: skip
    assert record == Holding(
        kind="savings", name="Test Bank XXXXXX9026", institution="Test Bank",
        value=Money(Decimal("5225.5"), "INR"), as_of=date(2025, 7, 10),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("summary", "field", "kind"),
    [
        ("depositSummary", "currentBalance", "deposit"),
        ("recurringDepositSummary", "currentPrincipalAmount", "deposit"),
        ("equitySummary", "currentValue", "equity"),
        ("etfSummary", "currentValue", "etf"),
        ("reitSummary", "currentValue", "reit"),
        ("invitSummary", "currentValue", "invit"),
        ("sgbSummary", "currentValue", "bond"),
        ("npsSummary", "currentValue", "nps"),
        ("mutualFundSummary", "currentValue", "account"),
        ("epfSummary", "currentBalance", "account"),
        ("creditCardSummary", "currentBalance", "liability"),
        ("loanSummary", "currentOutstanding", "liability"),
    ],
)
def test_each_summary_has_its_kind_and_its_value(summary: str, field: str, kind: str) -> None:
    record = account({"fipId": "fip@test"}, **{summary: {field: inr(700)}})
    assert (record.kind, record.value) == (kind, Money(Decimal(700), "INR"))
    assert record.institution == "fip@test"


@pytest.mark.parametrize(
    ("instrument", "kind"),
    [
        ("RECURRING_DEPOSIT", "deposit"),
        ("EQUITIES", "equity"),
        ("LOAN", "liability"),
        ("NEW", "other"),
    ],
)
def test_an_account_without_a_summary_is_still_an_account(instrument: str, kind: str) -> None:
    record = account({"accInstrumentType": f"ACC_INSTRUMENT_TYPE_{instrument}"})
    assert (record.kind, record.value, record.name) == (kind, None, "Account")


def epf(balance: str, *employers: tuple[str, str]) -> dict[str, object]:
    established = [
        {"est_name": name, "member_id": "XX****", "doj_epf": joined} for name, joined in employers
    ]
    return {
        "phoneNumber": {},
        "rawDetails": {
            "est_details": established,
            "overall_pf_balance": {"current_pf_balance": balance, "pension_balance": "1"},
        },
    }


def test_a_provident_fund_stays_itself_through_a_new_employer() -> None:
    [before] = provident_fund(node({"uanAccounts": [epf("211111", ("OLD LTD", "07-08-2018"))]}))
    [after] = provident_fund(
        node({
            "uanAccounts": [
                epf("230000", ("NEW LTD", "24-03-2021"), ("OLD LTD", "07-08-2018"),
                    ("UNSURE LTD", "NOT AVAILABLE"))
            ]
        })
    )  # fmt: skip
    assert before.key == after.key
    assert after.record == Holding(
        kind="epf", name="Employees' Provident Fund", institution="EPFO",
        value=Money(Decimal(230000), "INR"),
    )  # fmt: skip


def test_two_provident_funds() -> None:
    items = provident_fund(node({"uanAccounts": [epf("1"), epf("2")]}))
    assert len({item.key for item in items}) == 2
    assert provident_fund(node({})) == []


@pytest.mark.parametrize(
    "document",
    [
        {"creditReports": [{"creditReportData": {}, "vendor": "TEST"}]},
        {"netWorthResponse": []},
        {"netWorthResponse": {"creditReports": []}},
        {"netWorthResponse": {"assetValues": [{"netWorthAttribute": "ASSET_TYPE_EPF"}]}},
        {"netWorthResponse": {"assetValues": [{"netWorthAttribute": "X", "value": "5"}]}},
        {"mfSchemeAnalytics": {"funds": []}},
        {"mfSchemeAnalytics": {"schemeAnalytics": [{}]}},
        {"accountDetailsBulkResponse": {"accountDetailsMap": []}},
        {"accountDetailsBulkResponse": {"accountDetailsMap": {"secret-key": {}}}},
        {"accountDetailsBulkResponse": {"accountDetailsMap": {"secret-key": "x"}}},
    ],
)
def test_another_shape_is_a_data_error(document: object) -> None:
    with pytest.raises(PlatformDataError, match=r"^fetch_it.*: expected ") as caught:
        net_worth(node(document))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "document",
    [{"uanAccounts": {}}, {"uanAccounts": [{}]}, {"uanAccounts": [epf("lots")]}, {"accounts": []}],
)
def test_a_provident_fund_of_another_shape(document: object) -> None:
    with pytest.raises(PlatformDataError):
        provident_fund(node(document))


def test_a_wrong_part_costs_none_of_the_others() -> None:
    faults: list[PlatformError] = []
    accounts = {"good": {"accountDetails": {"fipId": "f", "fipMeta": 7}}, "bad": {}}
    document = {
        "netWorthResponse": {"assetValues": [total("ASSET_TYPE_EPF", 5), {}], "liabilityValues": 7},
        "mfSchemeAnalytics": {"funds": []},
        "accountDetailsBulkResponse": {"accountDetailsMap": accounts},
    }
    items = net_worth(Node(document, "fetch_it", faults))
    assert [item.record for item in items] == [
        Holding("asset_total", "EPF", value=Money(Decimal(5), "INR")),
        Holding("other", "f", institution="f"),
    ]
    assert [str(fault).removeprefix("fetch_it.") for fault in faults] == [
        "netWorthResponse.assetValues[]: expected a field netWorthAttribute",
        "netWorthResponse.liabilityValues: expected an array",
        "mfSchemeAnalytics: expected schemeAnalytics",
        "accountDetailsBulkResponse.accountDetailsMap[].accountDetails.fipMeta: expected an object",
        "accountDetailsBulkResponse.accountDetailsMap[]: expected a field accountDetails",
    ]
