"""What generated Fi data looks like: in process, so that the day can be set."""

import json
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from sandbox.clock import IST
from sandbox.instruments import ETFS, FUNDS, GOLD_BONDS, STOCKS
from sandbox.platforms.fi_money.data import TOOLS
from sandbox.platforms.fi_money.generated import GeneratedFiData
from sandbox.platforms.fi_money.sessions import Logins
from tests.sandbox.driver import SetClock

EVERYDAY = "user123"
CONNECTED = "2222222222"
OLDER_SHAPE = "8888888888"
INDEBTED = "7777777777"
BARE = "1111111111"
BROKEN = "2525252525"


@pytest.fixture
def clock() -> SetClock:
    return SetClock(datetime(2026, 2, 3, 17, 0, tzinfo=IST))


def read(clock: SetClock, tool: str, phone: str, seed: int = 1) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(GeneratedFiData(seed, clock).read(tool, phone))
    return document


def rupees(value: dict[str, Any]) -> int:
    assert value["currencyCode"] == "INR"
    return int(value.get("units", "0"))


@pytest.mark.parametrize("tool", TOOLS)
def test_decided_by_seed_and_login(clock: SetClock, tool: str) -> None:
    document = read(clock, tool, CONNECTED)
    assert document == read(clock, tool, CONNECTED)
    assert document != read(clock, tool, CONNECTED, seed=2)
    assert document != read(clock, tool, EVERYDAY)


def test_isins_are_valid() -> None:
    isins = [stock.isin for stock in STOCKS] + [fund.isin for fund in FUNDS]
    isins += [etf[0] for etf in ETFS] + [bond[0] for bond in GOLD_BONDS]
    assert len(set(isins)) == len(isins)
    for isin in isins:
        digits = [int(d) for d in "".join(str(int(c, 36)) for c in isin)][::-1]
        doubled = [
            d if place % 2 == 0 else sum(divmod(d * 2, 10)) for place, d in enumerate(digits)
        ]
        assert (len(isin), sum(doubled) % 10) == (12, 0)


def test_bank_rows(clock: SetClock) -> None:
    banks = read(clock, "fetch_bank_transactions", CONNECTED)["bankTransactions"]
    names = [bank["bank"] for bank in banks]
    assert len(set(names)) < len(names)
    orders = set()
    for bank in banks:
        dates = [row[2] for row in bank["txns"]]
        assert "2025-12-05" <= min(dates) <= max(dates) <= "2026-02-03"
        orders.add((dates == sorted(dates), dates == sorted(dates, reverse=True)))
    assert orders == {(True, False), (False, True), (False, False)}


def test_bank_balances_follow_the_amounts(clock: SetClock) -> None:
    banks = read(clock, "fetch_bank_transactions", CONNECTED)["bankTransactions"]
    oldest_first = banks[1]["txns"]
    for before, row in pairwise(oldest_first):
        amount, _, _, kind, _, left = row
        assert int(left) == int(before[5]) + (int(amount) if kind in (1, 4) else -int(amount))


def test_old_bank_rows_stay_while_the_window_moves(clock: SetClock) -> None:
    def rows() -> list[Counter[tuple[Any, ...]]]:
        banks = read(clock, "fetch_bank_transactions", CONNECTED)["bankTransactions"]
        return [Counter(tuple(row) for row in bank["txns"]) for bank in banks]

    before = rows()
    clock.moment += timedelta(days=30)
    for old, new in zip(before, rows(), strict=True):
        window_start = min(row[2] for row in new)
        kept = Counter({row: n for row, n in old.items() if row[2] >= window_start})
        assert kept
        assert kept <= new
        assert new - kept


def test_stock_rows(clock: SetClock) -> None:
    stocks = read(clock, "fetch_stock_transactions", CONNECTED)["stockTransactions"]
    rows = [row for stock in stocks for row in stock["txns"]]
    assert {row[0] for row in rows} == {1, 2, 3, 4}
    assert {len(row) for row in rows} == {3, 4}
    assert all(len(row) == 3 for row in rows if row[0] in (3, 4))
    repeats = [max(Counter(map(tuple, stock["txns"])).values()) for stock in stocks]
    assert max(repeats) > 1


def test_stock_rows_do_not_depend_on_the_day(clock: SetClock) -> None:
    before = read(clock, "fetch_stock_transactions", CONNECTED)
    clock.moment += timedelta(days=400)
    assert read(clock, "fetch_stock_transactions", CONNECTED) == before


def test_newer_fund_shape_grows_at_its_end(clock: SetClock) -> None:
    before = read(clock, "fetch_mf_transactions", CONNECTED)["mfTransactions"]
    clock.moment += timedelta(days=31)
    after = read(clock, "fetch_mf_transactions", CONNECTED)["mfTransactions"]
    for old, new in zip(before, after, strict=True):
        assert set(new) == {"isin", "schemeName", "folioId", "txns"}
        assert new["txns"][: len(old["txns"])] == old["txns"]
        assert len(new["txns"]) > len(old["txns"])
        for kind, _, nav, units, amount in new["txns"]:
            assert kind in (1, 2)
            assert units * nav == pytest.approx(amount, abs=0.3)


def test_older_fund_shape(clock: SetClock) -> None:
    transactions = read(clock, "fetch_mf_transactions", OLDER_SHAPE)["transactions"]
    assert {row["externalOrderType"] for row in transactions} == {"BUY", "SELL"}
    assert all(row["transactionDate"].endswith("T18:30:00Z") for row in transactions)


def test_net_worth_adds_up(clock: SetClock) -> None:
    worth = read(clock, "fetch_net_worth", CONNECTED)
    response = worth["netWorthResponse"]
    owned = sum(rupees(line["value"]) for line in response["assetValues"])
    owed = sum(rupees(line["value"]) for line in response["liabilityValues"])
    assert owed > 0
    assert rupees(response["totalNetWorthValue"]) == owned - owed
    accounts = worth["accountDetailsBulkResponse"]["accountDetailsMap"]
    kinds = {account["accountDetails"]["accInstrumentType"] for account in accounts.values()}
    assert len(kinds) > 5
    assert {"accountType" in account["accountDetails"] for account in accounts.values()} == {
        True,
        False,
    }


def test_net_worth_agrees_with_the_transactions(clock: SetClock) -> None:
    accounts = read(clock, "fetch_net_worth", CONNECTED)["accountDetailsBulkResponse"]
    (held,) = [
        account["equitySummary"]["holdingsInfo"]
        for account in accounts["accountDetailsMap"].values()
        if account["accountDetails"]["accInstrumentType"] == "ACC_INSTRUMENT_TYPE_EQUITIES"
    ]
    stocks = read(clock, "fetch_stock_transactions", CONNECTED)["stockTransactions"]
    assert {holding["isin"]: holding["units"] for holding in held} == {
        stock["isin"]: sum(-row[2] if row[0] == 2 else row[2] for row in stock["txns"])
        for stock in stocks
    }


def test_liabilities_among_the_assets(clock: SetClock) -> None:
    response = read(clock, "fetch_net_worth", INDEBTED)["netWorthResponse"]
    assert "liabilityValues" not in response
    lines = {line["netWorthAttribute"]: rupees(line["value"]) for line in response["assetValues"]}
    assert all((value < 0) == name.startswith("LIABILITY_TYPE_") for name, value in lines.items())
    assert rupees(response["totalNetWorthValue"]) == sum(lines.values()) < 0


def test_credit_report_and_provident_fund(clock: SetClock) -> None:
    (report,) = read(clock, "fetch_credit_report", CONNECTED)["creditReports"]
    assert report["vendor"] == "EXPERIAN"
    assert 300 <= int(report["creditReportData"]["score"]["bureauScore"]) <= 900
    (account,) = read(clock, "fetch_epf_details", CONNECTED)["uanAccounts"]
    details = account["rawDetails"]
    assert int(details["overall_pf_balance"]["current_pf_balance"]) == sum(
        int(job["pf_balance"]["net_balance"]) for job in details["est_details"]
    )


def test_absent_data_is_an_empty_object(clock: SetClock) -> None:
    documents = {tool: read(clock, tool, BARE) for tool in TOOLS}
    worth = documents.pop("fetch_net_worth")
    assert worth["netWorthResponse"]["totalNetWorthValue"]
    assert worth["mfSchemeAnalytics"] == worth["accountDetailsBulkResponse"] == {}
    assert list(documents.pop("fetch_mf_transactions")) == ["schemaDescription"]
    assert list(documents.values()) == [{}, {}, {}, {}]


def test_the_user_whose_net_worth_is_something_else(clock: SetClock) -> None:
    assert list(read(clock, "fetch_net_worth", BROKEN)) == ["creditReports"]


def test_logins_end_after_their_time_to_live(clock: SetClock) -> None:
    logins = Logins(clock, timedelta(minutes=30))
    logins.log_in("session", EVERYDAY)
    clock.moment += timedelta(minutes=29)
    assert logins.phone_of("session") == EVERYDAY
    clock.moment += timedelta(minutes=1)
    assert logins.phone_of("session") is None
