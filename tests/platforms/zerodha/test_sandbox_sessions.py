"""Ends of tokens by the clock, and data by the day: in process, so that time can be set."""

import hashlib
from datetime import datetime, timedelta
from typing import Any

import pytest

from sandbox.clock import IST
from sandbox.platforms.zerodha.generated import GeneratedKiteData
from sandbox.platforms.zerodha.replies import KiteError
from sandbox.platforms.zerodha.sessions import REQUEST_TOKEN_LIFE, Session, Sessions
from sandbox.platforms.zerodha.times import next_token_death
from tests.sandbox.driver import SetClock


@pytest.fixture
def clock() -> SetClock:
    return SetClock(datetime(2026, 2, 3, 17, 0, tzinfo=IST))


def checksum(token: str) -> str:
    return hashlib.sha256(f"demo_key{token}demo_secret".encode()).hexdigest()


def open_session(sessions: Sessions) -> Session:
    token = sessions.log_in("demo_key", "AB0001")
    return sessions.exchange("demo_key", token, checksum(token))


def test_access_tokens_die_at_six_in_the_morning(clock: SetClock) -> None:
    sessions = Sessions(clock, "demo_secret")
    session = open_session(sessions)
    clock.moment = datetime(2026, 2, 4, 5, 59, 59, tzinfo=IST)
    assert sessions.authenticate("demo_key", session.access_token) == session
    clock.moment = datetime(2026, 2, 4, 6, 0, tzinfo=IST)
    with pytest.raises(KiteError) as refusal:
        sessions.authenticate("demo_key", session.access_token)
    assert (refusal.value.status, refusal.value.error_type) == (403, "TokenException")


@pytest.mark.parametrize(
    ("login", "death"),
    [
        (datetime(2026, 2, 3, 5, 0, tzinfo=IST), datetime(2026, 2, 3, 6, 0, tzinfo=IST)),
        (datetime(2026, 2, 3, 6, 0, tzinfo=IST), datetime(2026, 2, 4, 6, 0, tzinfo=IST)),
        (datetime(2026, 12, 31, 9, 0, tzinfo=IST), datetime(2027, 1, 1, 6, 0, tzinfo=IST)),
    ],
)
def test_next_token_death(login: datetime, death: datetime) -> None:
    assert next_token_death(login) == death


def test_request_tokens_expire(clock: SetClock) -> None:
    sessions = Sessions(clock, "demo_secret")
    token = sessions.log_in("demo_key", "AB0001")
    clock.moment += REQUEST_TOKEN_LIFE
    with pytest.raises(KiteError):
        sessions.exchange("demo_key", token, checksum(token))


def test_checksum_is_a_plain_sha256(clock: SetClock) -> None:
    sessions = Sessions(clock, "demo_secret")
    token = sessions.log_in("demo_key", "AB0001")
    with pytest.raises(KiteError, match="checksum"):
        sessions.exchange("demo_key", token, checksum(token).upper())
    assert sessions.exchange("demo_key", token, checksum(token)).user_id == "AB0001"


def read(clock: SetClock, call: str, seed: int = 1, user_id: str = "AB0001") -> Any:
    return GeneratedKiteData(seed, clock).read(call, user_id)


def test_trades_are_those_of_the_last_closed_session(clock: SetClock) -> None:
    clock.moment = datetime(2026, 2, 4, 15, 29, tzinfo=IST)
    yesterdays = read(clock, "trades")
    assert {trade["fill_timestamp"][:10] for trade in yesterdays} == {"2026-02-03"}
    clock.moment = datetime(2026, 2, 4, 15, 30, tzinfo=IST)
    todays = read(clock, "trades")
    assert {trade["fill_timestamp"][:10] for trade in todays} == {"2026-02-04"}
    assert max(trade["fill_timestamp"] for trade in todays) < "2026-02-04 15:30:00"


def test_mf_orders_cover_seven_days_and_old_ones_stay(clock: SetClock) -> None:
    before = read(clock, "mf_orders")
    clock.moment += timedelta(days=1)
    after = read(clock, "mf_orders")
    days = {order["order_timestamp"][:10] for order in after}
    assert len(days) == 7
    assert [order for order in before if order["order_timestamp"][:10] in days] == [
        order for order in after if order["order_timestamp"][:10] != max(days)
    ]


@pytest.mark.parametrize("call", ["holdings", "trades", "orders", "mf_holdings", "mf_orders"])
def test_data_differs_by_seed_and_user(clock: SetClock, call: str) -> None:
    data = read(clock, call)
    assert data == read(clock, call)
    assert data != read(clock, call, seed=2)
    assert data != read(clock, call, user_id="AB0002")
