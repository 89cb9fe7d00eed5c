"""Everything that depends on the time follows the clock that tests turn."""

from datetime import datetime

import pytest

from sandbox.clock import IST, TurnableClock
from tests.sandbox.accounts import PLATFORM_KEY, Accounts
from tests.sandbox.driver import API_KEY, kite_request_token

BEFORE_SIX = "2026-01-15T05:59:00+05:30"


def test_kite_sessions_die_at_six(accounts: Accounts) -> None:
    accounts.put("/clock", {"now": BEFORE_SIX, "frozen": True})
    account, platform = accounts.zerodha("CK0001"), accounts.zerodha("CK0002", PLATFORM_KEY)
    assert account.session["login_time"] == "2026-01-15 05:59:00"
    accounts.put("/clock", {"advance_seconds": 59})
    assert account.get("/trades").status_code == 200
    accounts.put("/clock", {"advance_seconds": 1})
    for each in (account, platform):
        reply = each.get("/trades")
        assert (reply.status_code, reply.json()["error_type"]) == (403, "TokenException")
    platform.session = platform.renew().json()["data"]
    assert platform.get("/trades").status_code == 200
    entry = accounts.calls(login="CK0001")["calls"][-1]
    assert (entry["at"], entry["login"]) == ("2026-01-15T06:00:00+05:30", "CK0001")


def test_trades_are_of_the_turned_day(accounts: Accounts) -> None:
    days = {}
    for now in ("2026-01-15T15:29:59+05:30", "2026-01-15T10:00:00Z"):
        accounts.put("/clock", {"now": now, "frozen": True})
        trades = accounts.zerodha("CK0003").data("/trades")
        days[now] = {trade["fill_timestamp"][:10] for trade in trades}
    assert list(days.values()) == [{"2026-01-14"}, {"2026-01-15"}]


def test_request_tokens_and_fi_logins_end(accounts: Accounts) -> None:
    accounts.put("/clock", {"now": BEFORE_SIX, "frozen": True})
    session = accounts.fi_money("2222222222")
    account = accounts.zerodha("CK0004")
    token = kite_request_token(account.base_url, "CK0004", API_KEY)
    accounts.put("/clock", {"advance_seconds": 180})
    assert account.exchange("/session/token", "request_token", token).status_code == 403
    assert "netWorthResponse" in session.document("fetch_net_worth")
    accounts.put("/clock", {"advance_seconds": 1620})
    assert session.document("fetch_net_worth")["status"] == "login_required"
    (entry,) = [c for c in accounts.calls(login="2222222222")["calls"] if c["refusal"]]
    assert (entry["refusal"], entry["status"]) == ("login_required", 200)


def test_the_clock_runs_on_unless_it_is_frozen(accounts: Accounts) -> None:
    assert accounts.get("/clock")["real"] is True
    assert accounts.put("/clock", {"now": BEFORE_SIX})["frozen"] is False
    first, second = (accounts.get("/clock")["now"] for _ in range(2))
    assert BEFORE_SIX < first < second
    frozen = accounts.put("/clock", {"now": BEFORE_SIX, "frozen": True})
    assert frozen == {"now": BEFORE_SIX, "frozen": True, "real": False}
    assert accounts.get("/clock") == frozen
    assert accounts.put("/clock", {"real": True})["real"] is True


def test_going_back_to_the_real_time() -> None:
    clock = TurnableClock()
    clock.turn(datetime(2026, 1, 15, 5, 59, tzinfo=IST), frozen=True)
    clock.be_real()
    assert abs((clock.now() - datetime.now(IST)).total_seconds()) < 60
    with pytest.raises(ValueError, match="century"):
        clock.turn(datetime(2100, 1, 1, tzinfo=IST), frozen=False)
