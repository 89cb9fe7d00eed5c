"""The log of calls, its counts, and the limits."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest

from sandbox.clock import IST, Clock
from sandbox.control.calls import Call
from sandbox.control.journal import Filter, Journal
from sandbox.control.limits import Limits
from sandbox.control.rules import LimitsBody
from tests.sandbox.accounts import PLATFORM_KEY, Accounts, call_tool
from tests.sandbox.driver import API_SECRET, FiSession


def test_kite_calls(accounts: Accounts) -> None:
    accounts.control.delete("/calls")
    account = accounts.zerodha("JN0001", PLATFORM_KEY)
    account.get("/trades")
    account.get("/orders/12345678901234")
    account.get("/user/margins/equity")
    account.session = account.renew().json()["data"]
    url, token = f"{account.base_url}/session/token", account.session["access_token"]
    httpx.delete(url, params={"api_key": PLATFORM_KEY, "access_token": token})
    account.get("/trades")
    httpx.get(f"{account.base_url}/quote")
    expected = [
        ("POST /connect/login", 302, None),
        ("POST /session/token", 200, None),
        ("/trades", 200, None),
        ("/orders/{order_id}", 404, "GeneralException"),
        ("/user/margins/{segment}", 200, None),
        ("POST /session/refresh_token", 200, None),
        ("DELETE /session/token", 200, None),
        ("/trades", 403, "TokenException"),
    ]
    report = accounts.calls(platform="zerodha", login="jn0001", api_key=PLATFORM_KEY)
    entries = report["calls"]
    assert [(e["call"], e["status"], e["refusal"]) for e in entries] == expected
    assert report["counts"]["/trades"] == 2
    assert report["statuses"]["/trades"] == {"200": 1, "403": 1}
    for entry in entries:
        assert entry["platform"] == "zerodha"
        assert (entry["login"], entry["api_key"]) == ("JN0001", PLATFORM_KEY)
        assert (entry["outcome"], entry["faults"]) == ("replied", [])
        assert datetime.fromisoformat(entry["at"]).utcoffset() == IST.utcoffset(None)
        assert entry["real_at"] <= entry["real_end"]
    (unknown,) = accounts.calls(call="other")["calls"]
    assert (unknown["login"], unknown["api_key"], unknown["status"]) == (None, None, 404)


def test_fi_calls(accounts: Accounts) -> None:
    accounts.control.delete("/calls")
    session = FiSession(accounts.sandbox.fi_money)
    session.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
    session.call("fetch_net_worth")
    session.log_in("2222222222")
    session.call("fetch_net_worth")
    session.request("tools/call", {"name": "fetch_everything"})
    session.request("ping")
    url, headers = f"{accounts.sandbox.fi_money}/mcp/stream", {"Mcp-Session-Id": session.id}
    httpx.delete(url, headers=headers)
    with httpx.stream("GET", url, headers=headers):
        pass
    shown = [
        (entry["login"], entry["call"], entry["status"], entry["refusal"])
        for entry in accounts.calls(platform="fi_money")["calls"]
    ]
    assert shown == [
        (None, "initialize", 200, None),
        (None, "notifications/initialized", 202, None),
        (None, "fetch_net_worth", 200, "login_required"),
        ("2222222222", "POST /login", 200, None),
        ("2222222222", "fetch_net_worth", 200, None),
        ("2222222222", "other", 200, "error"),
        ("2222222222", "ping", 200, None),
        ("2222222222", "DELETE /mcp", 200, None),
        ("2222222222", "GET /mcp", 200, None),
    ]


def test_the_log_is_read_in_parts_and_forgotten(accounts: Accounts) -> None:
    accounts.control.delete("/calls")
    account = accounts.zerodha("JN0002")
    for _ in range(3):
        account.get("/trades")
    first = accounts.calls(limit=3)["calls"]
    rest = accounts.calls(after=first[-1]["id"])["calls"]
    assert [entry["call"] for entry in first + rest][2:] == ["/trades"] * 3
    accounts.control.delete("/calls")
    report = accounts.calls()
    assert (report["counts"], report["calls"], report["discarded"]) == ({}, [], 0)


def test_only_the_newest_entries_are_kept() -> None:
    journal = Journal(Clock(), kept=2)
    for name in ("a", "b", "c"):
        journal.replied(journal.arrived(Call("zerodha", name, None)), 200)
    under_way = journal.arrived(Call("zerodha", "d", None))
    report = journal.report(Filter(), after=0, limit=9)
    assert [entry["call"] for entry in report["calls"]] == ["c", "d"]
    assert report["counts"] == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert report["discarded"] == 2
    journal.reset()
    journal.replied(under_way, 200)
    assert journal.report(Filter(), after=0, limit=9)["statuses"] == {}


def test_no_secrets(accounts: Accounts) -> None:
    account, session = accounts.zerodha("JN0003", PLATFORM_KEY), accounts.fi_money("2222222222")
    account.get("/trades")
    old = dict(account.session)
    account.session = account.renew().json()["data"]
    session.call("fetch_net_worth")
    session.log_in("user123", "passcode-1")
    accounts.put("/breakpoints/a", {"platform": "zerodha"})
    shown = "".join(
        accounts.control.get(path).text
        for path in (
            "/calls",
            "/breakpoints",
            "/limits",
            "/accounts/zerodha/JN0003/faults",
            "/clock",
        )
    )
    assert '"JN0003"' in shown
    tokens = [s[name] for s in (old, account.session) for name in ("access_token", "refresh_token")]
    for secret in (*tokens, session.id, "passcode-1", '"secret"', API_SECRET, "checksum"):
        assert secret not in shown


def test_kite_limit(accounts: Accounts) -> None:
    account = accounts.zerodha("JN0004")
    accounts.control.delete("/calls")
    none = {"per_second": None, "concurrent_per_session": None}
    assert accounts.get("/limits") == {"fi_money": none, "zerodha": none}
    accounts.put("/limits", {"zerodha": {"per_second": 0}})
    reply = account.get("/trades")
    assert (reply.status_code, reply.json()["error_type"]) == (429, "NetworkException")
    accounts.put("/limits", {})
    assert account.get("/trades").status_code == 200
    report = accounts.calls(login="JN0004")
    assert [entry["faults"] for entry in report["calls"]] == [["limit"], []]
    limits = report["limits"]["zerodha"]
    assert limits["refused"] == 1
    assert limits["busiest_second"][account.api_key] in {1, 2}


def test_a_second_may_begin_at_any_moment() -> None:
    now = 100.0
    limits = Limits(lambda: now)
    limits.settings = {"zerodha": LimitsBody(per_second=2)}

    def at(moment: float, key: str | None = "a") -> bool:
        nonlocal now
        now = moment
        return limits.refuses(Call("zerodha", "/trades", None, key, rate_key=key))

    assert [at(100.0), at(100.6), at(100.9)] == [False, False, True]
    assert at(100.9, "b") is False
    assert [at(101.0), at(101.5), at(101.6)] == [False, True, False]
    assert not any(at(102, None) for _ in range(5))
    report = limits.report("zerodha")
    assert (report["refused"], report["busiest_second"]) == (2, {"a": 4, "b": 1})


@pytest.mark.parametrize("same_session", [True, False])
def test_fi_calls_of_one_session_at_once(accounts: Accounts, same_session: bool) -> None:
    sessions = [accounts.fi_money("2222222222") for _ in range(2)]
    accounts.control.delete("/calls")
    accounts.put("/limits", {"fi_money": {"concurrent_per_session": 1}})
    accounts.put("/breakpoints/fi", {"platform": "fi_money"})
    with ThreadPoolExecutor() as pool:
        calls = [
            pool.submit(call_tool, sessions[0 if same_session else number], "fetch_net_worth")
            for number in range(2)
        ]
        accounts.until("/breakpoints/fi", lambda hold: hold["waiting"] == 2)
        accounts.control.delete("/breakpoints/fi")
        assert [call.result().status_code for call in calls] == [200, 200]
    sessions[0].call("fetch_net_worth")
    limits = accounts.calls()["limits"]["fi_money"]
    violations, most = (1, 2) if same_session else (0, 1)
    assert (limits["concurrent_violations"], limits["most_at_once"]) == (violations, most)


def test_real_times_are_ms_since_1970(accounts: Accounts) -> None:
    accounts.put("/clock", {"now": "2030-01-01T00:00:00Z"})
    accounts.zerodha("JN0006")
    entry = accounts.calls(login="JN0006")["calls"][0]
    real = datetime.fromtimestamp(entry["real_at"] / 1000, UTC)
    assert abs((real - datetime.now(UTC)).total_seconds()) < 60
    assert entry["at"].startswith("2030-01-01T05:30")
