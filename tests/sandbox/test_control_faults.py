"""Each kind of fault, on either platform."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.sandbox.accounts import PLATFORM_KEY, Accounts, assert_error, call_tool
from tests.sandbox.driver import FiSession

NET_WORTH, STOCKS = "fetch_net_worth", "fetch_stock_transactions"
Ask = Callable[[], httpx.Response]


@pytest.fixture(params=["zerodha", "fi_money"])
def platform(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def login(platform: str) -> str:
    return {"zerodha": "FT0001", "fi_money": "2222222222"}[platform]


@pytest.fixture
def ask(accounts: Accounts, platform: str, login: str) -> Ask:
    """A data call of the account."""
    if platform == "zerodha":
        account = accounts.zerodha(login)
        return lambda: account.get("/trades")
    session = accounts.fi_money(login)
    return lambda: call_tool(session, STOCKS)


@pytest.mark.parametrize("kind", ["expired", "revoked"])
def test_kite_sessions_end_at_once(accounts: Accounts, kind: str) -> None:
    account, other = accounts.zerodha("FT0002"), accounts.zerodha("FT0003")
    accounts.faults("zerodha", "ft0002", {"kind": kind})
    assert_error(account.get("/trades"), 403, "TokenException")
    assert other.get("/trades").status_code == 200
    account.log_in()
    assert account.get("/trades").status_code == 200


def test_expired_kite_sessions_can_be_renewed_and_revoked_ones_cannot(accounts: Accounts) -> None:
    account = accounts.zerodha("FT0004", PLATFORM_KEY)
    accounts.faults("zerodha", "FT0004", {"kind": "expired"})
    assert_error(account.get("/trades"), 403, "TokenException")
    account.session = account.renew().json()["data"]
    assert account.get("/trades").status_code == 200
    accounts.faults("zerodha", "FT0004", {"kind": "revoked"})
    assert_error(account.get("/trades"), 403, "TokenException")
    assert_error(account.renew(), 403, "TokenException")


def test_a_refresh_token_works_once(accounts: Accounts) -> None:
    account = accounts.zerodha("FT0005", PLATFORM_KEY)
    first = account.renew().json()["data"]
    assert_error(account.renew(), 403, "TokenException")
    account.session = first
    assert account.renew().status_code == 200


def test_a_refresh_token_is_spent_though_its_reply_is_lost(accounts: Accounts) -> None:
    account = accounts.zerodha("FT0006", PLATFORM_KEY)
    rule = {"kind": "drop", "calls": "POST /session/refresh_token", "times": 1}
    accounts.faults("zerodha", "FT0006", rule)
    with pytest.raises(httpx.RemoteProtocolError):
        account.renew()
    accounts.faults("zerodha", "FT0006", {**rule, "at": "reply"})
    with pytest.raises(httpx.RemoteProtocolError):
        account.renew()
    assert_error(account.renew(), 403, "TokenException")
    outcomes = [
        (entry["outcome"], entry["status"], entry["done"])
        for entry in accounts.calls(login="FT0006", call="POST /session/refresh_token")["calls"]
    ]
    assert outcomes == [
        ("dropped", None, False),
        ("dropped", None, True),
        ("replied", 403, True),
    ]


def test_expired_in_the_middle_of_a_sync(accounts: Accounts) -> None:
    account = accounts.zerodha("FT0007")
    accounts.faults("zerodha", "FT0007", {"kind": "expired", "calls": ["/mf/holdings"], "times": 1})
    assert account.get("/portfolio/holdings").status_code == 200
    assert_error(account.get("/mf/holdings"), 403, "TokenException")
    assert_error(account.get("/portfolio/holdings"), 403, "TokenException")
    account.log_in()
    assert account.get("/mf/holdings").status_code == 200


def test_expired_on_fi(accounts: Accounts) -> None:
    session = accounts.fi_money("2222222222")
    accounts.faults("fi_money", "2222222222", {"kind": "expired"})
    assert session.document(NET_WORTH)["status"] == "login_required"
    session.log_in("2222222222")
    assert "netWorthResponse" in session.document(NET_WORTH)


def test_revoked_on_fi(accounts: Accounts) -> None:
    session = accounts.fi_money("2222222222")
    accounts.faults("fi_money", "*", {"kind": "revoked"})
    reply = call_tool(session, NET_WORTH)
    assert (reply.status_code, reply.text) == (404, "Session terminated\n")
    assert "netWorthResponse" in accounts.fi_money("2222222222").document(NET_WORTH)


def test_wrong_password(accounts: Accounts) -> None:
    accounts.faults("zerodha", "FT0008", {"kind": "wrong_password"})
    form = {"api_key": "demo_key", "user_id": "ft0008", "password": "right"}
    reply = httpx.post(f"{accounts.sandbox.zerodha}/connect/login", data=form)
    assert reply.status_code == 403
    assert "location" not in reply.headers
    accounts.faults("fi_money", "2222222222", {"kind": "wrong_password", "times": 1})
    session = FiSession(accounts.sandbox.fi_money)
    assert session.log_in("2222222222").status_code == 403
    assert session.document(NET_WORTH)["status"] == "login_required"
    assert session.log_in("2222222222").status_code == 200


@pytest.mark.parametrize(
    ("rule", "status", "retry_after"),
    [
        ({"kind": "throttled"}, 429, None),
        ({"kind": "throttled", "retry_after": 3}, 429, "3"),
        ({"kind": "unavailable"}, 503, None),
        ({"kind": "unavailable", "status": 500}, 500, None),
        ({"kind": "unavailable", "status": 502, "retry_after": 1}, 502, "1"),
        ({"kind": "unavailable", "status": 599}, 599, None),
    ],
)
def test_failures(
    accounts: Accounts,
    platform: str,
    login: str,
    ask: Ask,
    rule: dict[str, Any],
    status: int,
    retry_after: str | None,
) -> None:
    accounts.faults(platform, login, {**rule, "times": 1})
    reply = ask()
    assert (reply.status_code, reply.headers.get("retry-after")) == (status, retry_after)
    if platform == "zerodha":
        network = status in {429, 502, 503}
        assert_error(reply, status, "NetworkException" if network else "GeneralException")
    else:
        assert reply.headers["content-type"].startswith("text/plain")
    assert ask().status_code == 200


def test_not_json(accounts: Accounts, platform: str, login: str, ask: Ask) -> None:
    accounts.faults(
        platform,
        login,
        {"kind": "not_json", "times": 1},
        {"kind": "not_json", "status": 502, "times": 1},
    )
    for status in (200, 502):
        reply = ask()
        assert reply.status_code == status
        assert reply.headers["content-type"].startswith("text/html")
        assert reply.text.startswith("<html>")
    assert ask().headers["content-type"] == "application/json"


@pytest.mark.parametrize("at", ["arrival", "reply"])
def test_drop(accounts: Accounts, platform: str, login: str, ask: Ask, at: str) -> None:
    accounts.faults(platform, login, {"kind": "drop", "at": at, "times": 1})
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        ask()
    assert ask().status_code == 200


@pytest.mark.parametrize("at", ["arrival", "reply"])
def test_hang_until_released(
    accounts: Accounts, platform: str, login: str, ask: Ask, at: str
) -> None:
    accounts.faults(platform, login, {"kind": "hang", "at": at})
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(ask)
        accounts.until(
            f"/accounts/{platform}/{login}/faults", lambda rules: rules[0]["waiting"] == 1
        )
        assert not waiting.done()
        accounts.clear_faults(platform, login)
        assert waiting.result().status_code == 200


async def test_hang_until_the_caller_leaves(accounts: Accounts) -> None:
    account = accounts.zerodha("FT0009")
    accounts.faults("zerodha", "FT0009", {"kind": "hang"})
    path = "/accounts/zerodha/FT0009/faults"
    async with httpx.AsyncClient(base_url=account.base_url, headers=account.authorization) as user:
        with pytest.raises(httpx.ReadTimeout):
            await user.get("/trades", timeout=httpx.Timeout(5, read=0.1))
    accounts.until(path, lambda rules: rules[0]["waiting"] == 0)
    assert accounts.get(path)[0]["applied"] == 1
    (call,) = accounts.calls(login="FT0009", call="/trades")["calls"]
    assert (call["status"], call["outcome"], call["faults"]) == (None, "left", ["hang"])


def test_slow_lets_other_rules_apply(
    accounts: Accounts, platform: str, login: str, ask: Ask
) -> None:
    whole = len(ask().content)
    accounts.control.delete("/calls")
    accounts.faults(platform, login, {"kind": "slow", "ms": 1}, {"kind": "partial"})
    assert len(ask().content) < whole
    (call,) = accounts.calls(login=login)["calls"]
    assert (call["status"], call["faults"]) == (200, ["slow", "partial"])


def test_rules_count_their_calls(accounts: Accounts) -> None:
    account, other = accounts.zerodha("FT0014"), accounts.zerodha("FT0015")
    accounts.faults(
        "zerodha", "*", {"kind": "unavailable", "calls": "/trades", "after": 1, "times": 2}
    )
    for each in (account, other):
        assert each.get("/orders").status_code == 200
        statuses = [each.get("/trades").status_code for _ in range(4)]
        assert statuses == [200, 503, 503, 200]
    (rule,) = accounts.get("/accounts/zerodha/*/faults")
    assert rule == {
        "kind": "unavailable",
        "calls": ["/trades"],
        "after": 1,
        "times": 2,
        "applied": 4,
        "waiting": 0,
    }


def test_own_rules_come_before_those_for_all(accounts: Accounts) -> None:
    account = accounts.zerodha("FT0016")
    accounts.faults("zerodha", "*", {"kind": "throttled"})
    accounts.faults("zerodha", "FT0016", {"kind": "unavailable", "times": 1})
    assert [account.get("/trades").status_code for _ in range(2)] == [503, 429]
    accounts.clear_faults("zerodha", "*")
    assert account.get("/trades").status_code == 200


def test_any_call_may_fail(accounts: Accounts) -> None:
    account = accounts.zerodha("FT0017", PLATFORM_KEY)
    session = accounts.fi_money("2222222222")
    for platform in ("zerodha", "fi_money"):
        accounts.faults(platform, "*", {"kind": "unavailable", "calls": "*"})
    assert account.renew().status_code == account.get("/nowhere").status_code == 503
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert session.post(ping).status_code == session.log_in("1").status_code == 503


def test_probability_repeats_with_the_seed(accounts: Accounts) -> None:
    account = accounts.zerodha("FT0018")

    def draw() -> list[int]:
        accounts.faults("zerodha", "FT0018", {"kind": "throttled", "probability": 0.5})
        return [account.get("/user/profile").status_code for _ in range(20)]

    drawn = draw()
    assert set(drawn) == {200, 429}
    assert draw() == drawn
