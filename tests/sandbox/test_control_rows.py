"""Documents that are not what they were: parts, repeats, other shapes, and sold holdings."""

from pathlib import Path

import httpx
import pytest

from tests.sandbox.accounts import Accounts, accounts_at, assert_error, call_tool, document
from tests.sandbox.driver import FiSession, running

NET_WORTH, STOCKS, BANKS = (
    "fetch_net_worth",
    "fetch_stock_transactions",
    "fetch_bank_transactions",
)


@pytest.mark.parametrize(("keep", "kept"), [({}, 0.5), ({"keep": 0}, 0), ({"keep": 0.1}, 0.1)])
def test_partial_on_kite(accounts: Accounts, keep: dict[str, float], kept: float) -> None:
    account = accounts.zerodha("FT0010")
    trades, positions = account.data("/trades"), account.data("/portfolio/positions")
    profile = account.data("/user/profile")
    accounts.faults("zerodha", "FT0010", {"kind": "partial", **keep})
    part = account.data("/trades")
    assert part == trades[: len(part)]
    assert len(trades) * kept <= len(part) < len(trades) * kept + 1
    some = account.data("/portfolio/positions")
    assert {name: len(rows) < len(positions[name]) for name, rows in some.items()} == {
        "net": True,
        "day": True,
    }
    assert account.data("/user/profile") == profile


def test_partial_on_fi(accounts: Accounts) -> None:
    session = accounts.fi_money("2222222222")
    whole, worth = session.document(BANKS), session.document(NET_WORTH)
    accounts.faults("fi_money", "2222222222", {"kind": "partial"})
    part = session.document(BANKS)
    for some, every in zip(part["bankTransactions"], whole["bankTransactions"], strict=True):
        assert some["bank"] == every["bank"]
        assert some["txns"] == every["txns"][: len(some["txns"])] != every["txns"]
    part = session.document(NET_WORTH)
    assert part.keys() == worth.keys()
    schemes = part["mfSchemeAnalytics"]["schemeAnalytics"]
    assert schemes == worth["mfSchemeAnalytics"]["schemeAnalytics"][: len(schemes)]
    assert len(schemes) == 2


def test_duplicate_rows(accounts: Accounts) -> None:
    account, session = accounts.zerodha("FT0011"), accounts.fi_money("2222222222")
    trades, stocks = account.data("/trades"), session.document(STOCKS)["stockTransactions"]
    accounts.faults("zerodha", "*", {"kind": "duplicate_rows"})
    accounts.faults("fi_money", "*", {"kind": "duplicate_rows"})
    assert account.data("/trades") == trades + trades[::2]
    for more, each in zip(session.document(STOCKS)["stockTransactions"], stocks, strict=True):
        assert more == {**each, "txns": each["txns"] + each["txns"][::2]}


def test_wrong_shape(accounts: Accounts) -> None:
    account, session = accounts.zerodha("FT0012"), accounts.fi_money("2222222222")
    accounts.faults("zerodha", "FT0012", {"kind": "wrong_shape"})
    accounts.faults("fi_money", "2222222222", {"kind": "wrong_shape"})
    assert account.data("/trades") == {"net": [], "day": []}
    assert account.data("/portfolio/positions") == account.data("/user/profile") == []
    assert list(session.document(NET_WORTH)) == ["creditReports"]
    assert list(session.document("fetch_credit_report")) == ["netWorthResponse"]
    accounts.faults("fi_money", "1111111111", {"kind": "wrong_shape"})
    assert accounts.fi_money("1111111111").document(BANKS) != {}


def test_refused_calls_keep_their_shape(accounts: Accounts) -> None:
    """A call without a session is refused as ever, and so is a user who is not allowed."""
    account = accounts.zerodha("FT0013")
    rules = [{"kind": kind} for kind in ("wrong_shape", "partial")]
    accounts.faults("zerodha", "*", *rules)
    accounts.faults("fi_money", "*", *rules)
    account.log_in()
    old, account.session = account.session, {"access_token": "made-up"}
    assert_error(account.get("/trades"), 403, "TokenException")
    account.session = old
    assert accounts.fi_money("0000000000").call(NET_WORTH)["isError"] is True
    assert FiSession(accounts.sandbox.fi_money).document(NET_WORTH)["status"] == "login_required"


def test_sold_holdings(accounts: Accounts) -> None:
    account, session = accounts.zerodha("FT0019"), accounts.fi_money("2222222222")
    held, funds = account.data("/portfolio/holdings"), account.data("/mf/holdings")
    sold = [held[0]["isin"], held[1]["tradingsymbol"], funds[0]["tradingsymbol"]]
    accounts.put("/accounts/zerodha/FT0019/data", {"without": sold})
    assert account.data("/portfolio/holdings") == held[2:]
    assert account.data("/mf/holdings") == funds[1:]
    assert accounts.get("/accounts/zerodha/FT0019/data") == {"without": sorted(sold)}
    accounts.put("/accounts/zerodha/FT0019/data", {})
    assert account.data("/portfolio/holdings") == held

    def isins() -> set[str]:
        worth = session.document(NET_WORTH)
        summaries = [
            summary
            for each in worth["accountDetailsBulkResponse"]["accountDetailsMap"].values()
            for summary in each.values()
        ]
        listed = {row.get("isin") for s in summaries for row in s.get("holdingsInfo", [])}
        schemes = worth["mfSchemeAnalytics"]["schemeAnalytics"]
        return listed | {scheme["schemeDetail"]["isinNumber"] for scheme in schemes}

    before = isins()
    stock = session.document(STOCKS)["stockTransactions"][0]["isin"]
    fund = session.document("fetch_mf_transactions")["mfTransactions"][0]["isin"]
    accounts.put("/accounts/fi_money/*/data", {"without": [stock, fund]})
    assert isins() == before - {stock, fund}
    assert session.document(STOCKS)["stockTransactions"][0]["isin"] == stock


def test_faults_over_recordings_and_event_streams(tmp_path: Path) -> None:
    for path, text in (
        ("zerodha/trades.json", '{"data": [{"trade_id": "1"}, {"trade_id": "2"}]}'),
        ("fi_money/1000000001/fetch_stock_transactions.json", '{"txns": [[1, "a"], [1, "b"]]}'),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    options = ("--data", tmp_path, "--option", "fi_money.sse=true", "--control-port", 0)
    with running(*options) as sandbox, accounts_at(sandbox) as accounts:
        account, session = accounts.zerodha("FT0020"), accounts.fi_money("user123")
        accounts.faults("zerodha", "FT0020", {"kind": "partial", "times": 1})
        accounts.faults(
            "fi_money", "user123", {"kind": "duplicate_rows", "times": 1}, {"kind": "drop"}
        )
        assert account.data("/trades") == [{"trade_id": "1"}]
        reply = call_tool(session, STOCKS)
        assert reply.headers["content-type"] == "text/event-stream"
        assert document(reply) == {"txns": [[1, "a"], [1, "b"], [1, "a"]]}
        with pytest.raises(httpx.RemoteProtocolError):
            call_tool(session, STOCKS)
        assert len(account.data("/trades")) == 2
