"""The official client, unchanged, against the sandbox."""

import re
from datetime import datetime

import pytest
from kiteconnect import KiteConnect
from kiteconnect.exceptions import GeneralException, InputException, TokenException

from tests.sandbox.driver import API_KEY, API_SECRET, Running, kite_request_token


def log_in(sandbox: Running, user_id: str, api_key: str = API_KEY) -> KiteConnect:
    client = KiteConnect(api_key=api_key, root=sandbox.zerodha)
    client.generate_session(kite_request_token(sandbox.zerodha, user_id, api_key), API_SECRET)
    return client


@pytest.fixture(scope="module")
def client(sandbox: Running) -> KiteConnect:
    return log_in(sandbox, "CL0001")


def test_session_has_who_logged_in(sandbox: Running) -> None:
    client = KiteConnect(api_key=API_KEY, root=sandbox.zerodha)
    session = client.generate_session(kite_request_token(sandbox.zerodha, "CL0002"), API_SECRET)
    assert session["user_id"] == "CL0002"
    assert session["api_key"] == API_KEY
    assert session["access_token"] == client.access_token
    assert session["refresh_token"] == ""
    assert isinstance(session["login_time"], datetime)


def test_profile(client: KiteConnect) -> None:
    profile = client.profile()
    assert profile["user_id"] == "CL0001"
    assert "access_token" not in profile


def test_margins(client: KiteConnect) -> None:
    margins = client.margins()
    assert set(margins) == {"equity", "commodity"}
    assert client.margins("equity") == margins["equity"]
    with pytest.raises(InputException):
        client.margins("poetry")


def test_holdings(client: KiteConnect) -> None:
    for row in client.holdings():
        assert row["pnl"] == (row["last_price"] - row["average_price"]) * row["quantity"]
        assert row["day_change"] == row["last_price"] - row["close_price"]


def test_positions_are_what_the_trades_left(client: KiteConnect) -> None:
    positions, trades = client.positions(), client.trades()
    assert all(row in positions["net"] for row in positions["day"])
    for row in positions["day"]:
        fills = [
            trade
            for trade in trades
            if (trade["tradingsymbol"], trade["product"]) == (row["tradingsymbol"], row["product"])
        ]
        signed = [t["quantity"] * (1 if t["transaction_type"] == "BUY" else -1) for t in fills]
        assert row["quantity"] == sum(signed)
    assert 0 in [row["quantity"] for row in positions["net"]]


def test_orders_and_their_trades(client: KiteConnect) -> None:
    orders = client.orders()
    assert {order["status"] for order in orders} == {"COMPLETE", "REJECTED", "CANCELLED"}
    fills_of = {order["order_id"]: client.order_trades(order["order_id"]) for order in orders}
    assert sorted(trade["trade_id"] for fills in fills_of.values() for trade in fills) == sorted(
        trade["trade_id"] for trade in client.trades()
    )
    assert max(len(fills) for fills in fills_of.values()) > 1
    for order in orders:
        assert client.order_history(order["order_id"])[-1] == order
        assert order["filled_quantity"] == sum(t["quantity"] for t in fills_of[order["order_id"]])


def test_trades_carry_a_bare_order_time(client: KiteConnect) -> None:
    for trade in client.trades():
        assert isinstance(trade["fill_timestamp"], datetime)
        assert re.fullmatch(r"\d\d:\d\d:\d\d", trade["order_timestamp"])


def test_unknown_order(client: KiteConnect) -> None:
    with pytest.raises(GeneralException) as refusal:
        client.order_history("1")
    assert refusal.value.code == 404


def test_mutual_funds(client: KiteConnect) -> None:
    assert client.mf_holdings()
    assert client.mf_sips()
    orders = client.mf_orders()
    assert {order["status"] for order in orders} == {"COMPLETE", "REJECTED"}
    assert client.mf_orders(orders[0]["order_id"]) == orders[0]


def test_replies_do_not_change_between_calls(client: KiteConnect) -> None:
    for read in (client.holdings, client.positions, client.trades, client.orders, client.mf_orders):
        assert read() == read()


def test_logout_ends_the_session(sandbox: Running) -> None:
    client = log_in(sandbox, "CL0003")
    expiries: list[bool] = []
    client.set_session_expiry_hook(lambda: expiries.append(True))
    assert client.invalidate_access_token() is True
    with pytest.raises(TokenException) as refusal:
        client.profile()
    assert refusal.value.code == 403
    assert expiries == [True]


def test_a_new_login_kills_the_older_one_of_the_same_user_only(sandbox: Running) -> None:
    first = log_in(sandbox, "CL0004")
    other_user = log_in(sandbox, "CL0005")
    other_app = log_in(sandbox, "CL0004", "other_key")
    log_in(sandbox, "CL0004")
    with pytest.raises(TokenException):
        first.profile()
    assert other_user.profile()["user_id"] == "CL0005"
    assert other_app.profile()["user_id"] == "CL0004"


def test_wrong_secret(sandbox: Running) -> None:
    client = KiteConnect(api_key=API_KEY, root=sandbox.zerodha)
    with pytest.raises(TokenException):
        client.generate_session(kite_request_token(sandbox.zerodha), "guess")


def test_only_approved_platforms_renew(sandbox: Running) -> None:
    client = KiteConnect(api_key="platform_key", root=sandbox.zerodha)
    token = kite_request_token(sandbox.zerodha, "CL0006", "platform_key")
    session = client.generate_session(token, API_SECRET)
    renewed = client.renew_access_token(session["refresh_token"], API_SECRET)
    assert renewed["access_token"] != session["access_token"]
    assert client.profile()["user_id"] == "CL0006"
    assert client.invalidate_refresh_token(renewed["refresh_token"]) is True
    with pytest.raises(TokenException):
        client.renew_access_token(renewed["refresh_token"], API_SECRET)
    with pytest.raises(TokenException):
        log_in(sandbox, "CL0007").renew_access_token("made-up", API_SECRET)
