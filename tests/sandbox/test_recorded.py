"""Recorded responses in place of generated ones."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kiteconnect import KiteConnect
from kiteconnect.exceptions import GeneralException

from sandbox.clock import IST
from tests.sandbox.driver import (
    API_KEY,
    API_SECRET,
    FiSession,
    Running,
    kite_request_token,
    running,
    start,
)

SESSION = {
    "user_id": "RC0001",
    "api_key": "old",
    "access_token": "old",
    "refresh_token": "",
    "login_time": "2021-01-01 16:15:14",
}
ORDER = {"order_id": "7", "status": "COMPLETE", "quantity": 2, "order_timestamp": None}
TRADE = {"trade_id": "70", "order_id": "7", "order_timestamp": "09:16:39", "average_price": 30.68}


def write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    write(folder / "zerodha/generate_session.json", {"status": "success", "data": SESSION})
    write(folder / "zerodha/orders.json", {"status": "success", "data": [ORDER]})
    write(folder / "zerodha/trades.json", {"data": [TRADE]})
    write(
        folder / "fi_money/2000000002/fetch_net_worth.json", {"netWorthResponse": {"of": "second"}}
    )
    write(
        folder / "fi_money/1000000001/fetch_net_worth.json", {"netWorthResponse": {"of": "first"}}
    )
    return folder


@pytest.fixture(scope="module")
def sandbox(recorded: Path) -> Any:
    with running("--data", recorded) as started:
        yield started


@pytest.fixture(scope="module")
def client(sandbox: Running) -> KiteConnect:
    return KiteConnect(api_key=API_KEY, root=sandbox.zerodha)


def test_session_is_recorded_but_alive(sandbox: Running, client: KiteConnect) -> None:
    session = client.generate_session(kite_request_token(sandbox.zerodha, "ANYONE"), API_SECRET)
    assert session["user_id"] == "RC0001"
    assert session["api_key"] == API_KEY
    assert session["access_token"] == client.access_token != "old"
    now = datetime.now(IST).replace(tzinfo=None)
    assert now - timedelta(minutes=1) < session["login_time"] <= now


def test_kite_replies(client: KiteConnect) -> None:
    assert client.orders() == [ORDER]
    assert client.trades() == [TRADE]
    assert client.order_trades("7") == [TRADE]
    assert client.order_history("7")[-1] == ORDER


def test_kite_calls_without_a_recording(client: KiteConnect) -> None:
    assert client.holdings() == []
    assert client.positions() == {"net": [], "day": []}
    with pytest.raises(GeneralException, match="margins"):
        client.margins()


@pytest.mark.parametrize(
    ("phone", "owner"), [("2000000002", "second"), ("1000000001", "first"), ("user123", "first")]
)
def test_fi_replies(sandbox: Running, phone: str, owner: str) -> None:
    session = FiSession(sandbox.fi_money)
    session.log_in(phone)
    assert session.document("fetch_net_worth") == {"netWorthResponse": {"of": owner}}
    assert session.document("fetch_bank_transactions") == {}


def refused(folder: Path) -> str:
    process = start("--data", folder)
    output, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "ready" not in output
    assert len(errors.splitlines()) == 1
    return errors


def test_missing_folder(tmp_path: Path) -> None:
    assert "no such directory" in refused(tmp_path / "nowhere")
    assert "fi_money or zerodha" in refused(tmp_path)


@pytest.mark.parametrize(
    "path", ["zerodha/holdings.json", "fi_money/1000000001/fetch_net_worth.json"]
)
def test_invalid_json(tmp_path: Path, path: str) -> None:
    write(tmp_path / path, {})
    (tmp_path / path).write_text("{")
    assert path in refused(tmp_path)


def test_kite_recording_without_data(tmp_path: Path) -> None:
    write(tmp_path / "zerodha/holdings.json", [])
    assert "data" in refused(tmp_path)
