"""Zerodha's adapter against scripted replies; see test_conformance and test_flows for the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from server.platforms.base import (
    CredentialsRefused,
    LoginRequired,
    PermissionRefused,
    PlatformDataError,
    PlatformError,
    PlatformSession,
    PlatformUnavailable,
    SessionEnded,
)
from server.platforms.document import IST
from server.platforms.records import Holding, Trade
from server.platforms.zerodha.adapter import Zerodha, checksum, next_session_end
from tests.platforms.adapters import zerodha_at
from tests.platforms.scripted import Line, Say, ScriptedServer, impatient, read, read_contents
from tests.platforms.zerodha.test_items import FUND, HOLDING, POSITION, TRADE

Clock = Callable[[], datetime]
LOGIN_PAGE = "https://kite.zerodha.com/connect/login"
KEYS = {"apiKey": "demo_key", "apiSecret": "demo_secret"}
LOGGED_IN = {
    "user_id": "QX4821", "user_type": "individual", "access_token": "at1", "refresh_token": "",
    "login_time": "2026-02-03 09:41:07",
}  # fmt: skip
SESSION = PlatformSession(
    "QX4821", "individual", datetime(2026, 2, 4, 0, 30, tzinfo=UTC),
    {"api_key": "demo_key", "api_secret": "demo_secret", "access_token": "at1"},
)  # fmt: skip
RENEWABLE = PlatformSession(
    SESSION.platform_user_id, SESSION.account_type, SESSION.expires_at,
    {**SESSION.secrets, "refresh_token": "rt1"},
)  # fmt: skip


def success(data: object) -> Say:
    return Say(body={"status": "success", "data": data})


def failure(status: int, kind: str, message: str = "No.", **headers: str) -> Say:
    body = {"status": "error", "message": message, "data": None, "error_type": kind}
    return Say(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


@asynccontextmanager
async def zerodha(
    clock: Clock, *script: Line, api_key: str | None = None, api_secret: str | None = None
) -> AsyncIterator[tuple[Zerodha, ScriptedServer]]:
    async with ScriptedServer(*script) as server:
        adapter = zerodha_at(
            server.url, LOGIN_PAGE, clock=clock, retry=impatient(), api_key=api_key, api_secret=api_secret,
        )  # fmt: skip
        yield adapter, server
        await adapter.aclose()


def test_checksum() -> None:
    assert checksum("demo_key", "demo_rt", "demo_secret") == (
        "1c1cf82d71cd203fcada64892d70f4755901a31cd39647a7d1158e10827093bf"
    )


@pytest.mark.parametrize(
    ("login", "end"),
    [
        ("2026-02-03 05:00", "2026-02-03 06:00"),
        ("2026-02-03 05:59", "2026-02-03 06:00"),
        ("2026-02-03 06:00", "2026-02-04 06:00"),
        ("2026-02-03 07:00", "2026-02-04 06:00"),
        ("2026-12-31 23:59", "2027-01-01 06:00"),
        ("2026-02-03 00:01", "2026-02-03 06:00"),
    ],
)
def test_a_session_ends_at_the_first_six_oclock_after_the_login(login: str, end: str) -> None:
    begun = datetime.fromisoformat(login).replace(tzinfo=IST)
    assert next_session_end(begun.astimezone(UTC)) == datetime.fromisoformat(end).replace(
        tzinfo=IST
    )


async def test_a_request_token_buys_a_session(clock: Clock) -> None:
    async with zerodha(clock, success(LOGGED_IN)) as (adapter, server):
        session = await adapter.connect({**KEYS, "requestToken": "demo_rt", "password": "hunter2"})
    assert session == SESSION
    [asked] = server.asked
    assert (asked.method, asked.target) == ("POST", "/session/token")
    assert "authorization" not in asked.headers
    assert asked.headers["x-kite-version"] == "3"
    assert asked.form == {
        "api_key": "demo_key",
        "request_token": "demo_rt",
        "checksum": checksum("demo_key", "demo_rt", "demo_secret"),
    }
    assert "at1" not in repr(session)


@pytest.mark.parametrize("login_time", ["", None])
async def test_without_a_login_time_our_clock_serves(clock: Clock, login_time: str | None) -> None:
    reply = success({**LOGGED_IN, "login_time": login_time})
    async with zerodha(clock, reply) as (adapter, _):
        session = await adapter.connect({**KEYS, "requestToken": "demo_rt"})
    assert isinstance(session, PlatformSession)
    assert session.expires_at == datetime(2026, 2, 4, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "api_key", "api_secret"),
    [
        (KEYS, None, None),
        (KEYS, "other", "other"),
        ({"apiKey": "demo_key"}, "other", "demo_secret"),
        ({"apiSecret": "demo_secret"}, "demo_key", "other"),
        ({}, "demo_key", "demo_secret"),
    ],
)
async def test_each_key_falls_back_to_the_deployments(
    clock: Clock, given: dict[str, str], api_key: str | None, api_secret: str | None
) -> None:
    async with zerodha(clock, Say(), api_key=api_key, api_secret=api_secret) as (adapter, server):
        pending = await adapter.connect({**given, "username": "user123", "password": "hunter2"})
    assert pending == LoginRequired(
        "https://kite.zerodha.com/connect/login?v=3&api_key=demo_key",
        {"api_key": "demo_key", "api_secret": "demo_secret"},
    )
    assert server.asked == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "apiKey"),
        ({"apiSecret": "s"}, "apiKey"),
        ({"apiKey": "k"}, "apiSecret"),
        ({"apiKey": "k\r\nX: y", "apiSecret": "s"}, "apiKey"),
        ({"apiKey": "k", "apiSecret": "s", "requestToken": "r t"}, "requestToken"),
    ],
)
async def test_a_missing_or_impossible_key_is_named(
    clock: Clock, given: dict[str, str], field: str
) -> None:
    async with zerodha(clock, Say()) as (adapter, _):
        with pytest.raises(CredentialsRefused) as caught:
            await adapter.connect(given)
    assert caught.value.field == field


async def test_complete_goes_on_with_what_connect_left(clock: Clock) -> None:
    async with zerodha(clock, success(LOGGED_IN)) as (adapter, _):
        pending = await adapter.connect(KEYS)
        again = await adapter.complete(pending.secrets, {})
        assert again == pending
        assert await adapter.complete(again.secrets, {"requestToken": "demo_rt"}) == SESSION


@pytest.mark.parametrize(
    "reply",
    [
        failure(403, "TokenException"),
        failure(400, "InputException", "Missing or empty field `api_key`."),
        failure(400, "InputException", "Invalid `api_key` or `access_token`."),
        failure(403, "UserException"),
        failure(403, "PermissionException"),
    ],
)
async def test_a_refused_exchange_blames_the_credentials_and_is_not_repeated(
    clock: Clock, reply: Say
) -> None:
    async with zerodha(clock, reply) as (adapter, server):
        with pytest.raises(CredentialsRefused) as caught:
            await adapter.connect({**KEYS, "requestToken": "demo_rt"})
    assert caught.value.field == "requestToken"
    assert len(server.asked) == 1


async def test_an_exchange_is_never_tried_twice(clock: Clock) -> None:
    async with zerodha(clock, Say(503)) as (adapter, server):
        with pytest.raises(PlatformUnavailable):
            await adapter.connect({**KEYS, "requestToken": "demo_rt"})
    assert len(server.asked) == 1


HTML = Say(200, b"<html>Bad gateway</html>", {"Content-Type": "text/html"})


async def test_a_read_outlives_a_hiccup_and_needs_no_status(clock: Clock) -> None:
    script = (Say(502), failure(503, "NetworkException"), Say(body={"data": {"user_id": "QX4821"}}))
    async with zerodha(clock, *script) as (adapter, server):
        assert len(await read(adapter, SESSION, "profile")) == 1
    assert len(server.asked) == 3
    assert server.asked[0].headers["authorization"] == "token demo_key:at1"


@pytest.mark.parametrize(
    ("holdings", "isin"),
    [
        (success([HOLDING]), "INE000T01010"),
        (Say(500), None),
        (HTML, None),
        (success([{}]), None),
        (success([{}, HOLDING]), "INE000T01010"),
    ],
)
async def test_trades_do_without_isins_where_holdings_fail(
    clock: Clock, holdings: Say, isin: str | None
) -> None:
    replies = {"/trades": success([TRADE]), "/mf/orders": success([])}
    async with zerodha(clock, lambda asked: replies.get(asked.path, holdings)) as (adapter, server):
        [item] = await read(adapter, SESSION, "trades")
    assert isinstance(item.record, Trade)
    assert item.record.isin == isin
    assert server.asked[2].path == "/portfolio/holdings"


async def test_holdings_are_not_asked_for_where_nothing_was_traded(clock: Clock) -> None:
    async with zerodha(clock, success([])) as (adapter, server):
        assert await read(adapter, SESSION, "trades") == []
    assert {asked.path for asked in server.asked} == {"/trades", "/mf/orders"}


PORTFOLIO = {
    "/portfolio/holdings": success([HOLDING]),
    "/portfolio/positions": success({"net": [POSITION]}),
    "/mf/holdings": success([FUND]),
    "/user/margins": success({"equity": {"available": {"live_balance": 5}}}),
}


@pytest.mark.parametrize("wrong", PORTFOLIO)
@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        (success("nothing"), PlatformDataError, "expected an"),
        (HTML, PlatformDataError, "expected a JSON object"),
        (failure(403, "PermissionException"), PermissionRefused, "does not allow"),
    ],
)
async def test_a_bad_part_costs_none_of_the_others(
    clock: Clock, wrong: str, reply: Say, error: type[PlatformError], message: str
) -> None:
    """Whoever has no funds, or no commodity segment, has holdings all the same."""
    replies = {**PORTFOLIO, wrong: reply}
    async with zerodha(clock, lambda asked: replies[asked.path]) as (adapter, _):
        contents = await read_contents(adapter, SESSION, "portfolio")
    kinds = ["equity", "position", "mutual_fund", "cash"]
    del kinds[list(PORTFOLIO).index(wrong)]
    assert [
        item.record.kind for item in contents.items if isinstance(item.record, Holding)
    ] == kinds
    [fault] = contents.faults
    assert isinstance(fault, error)
    assert wrong in str(fault)
    assert message in str(fault)


async def test_a_portfolio_of_bad_parts_alone_is_none(clock: Clock) -> None:
    async with zerodha(clock, success("nothing")) as (adapter, _):
        with pytest.raises(
            PlatformDataError, match=r"/portfolio/holdings\.data: expected an array"
        ):
            await read(adapter, SESSION, "portfolio")


async def test_a_session_that_is_over_is_no_bad_part(clock: Clock) -> None:
    replies = {**PORTFOLIO, "/user/margins": failure(403, "TokenException")}
    async with zerodha(clock, lambda asked: replies[asked.path]) as (adapter, _):
        with pytest.raises(SessionEnded):
            await read(adapter, SESSION, "portfolio")


async def test_fills_do_not_depend_on_fund_orders(clock: Clock) -> None:
    replies = {"/trades": success([TRADE]), "/portfolio/holdings": success([HOLDING])}
    refused = failure(403, "PermissionException")
    async with zerodha(clock, lambda asked: replies.get(asked.path, refused)) as (adapter, _):
        contents = await read_contents(adapter, SESSION, "trades")
    assert len(contents.items) == len(contents.faults) == 1
    assert contents.periods == (), "nothing follows from what a part lacks"


async def test_transactions_are_not_for_sale(clock: Clock) -> None:
    async with zerodha(clock, Say()) as (adapter, server):
        assert "transactions" not in adapter.data_types
        with pytest.raises(PermissionRefused):
            await read(adapter, SESSION, "transactions")
    assert server.asked == []


async def test_a_session_that_cannot_be_renewed_is_proved_and_stays_the_same(clock: Clock) -> None:
    async with zerodha(clock, success({"user_id": "QX4821"}), failure(403, "TokenException")) as (
        adapter,
        server,
    ):
        assert await adapter.renew(SESSION) == SESSION
        with pytest.raises(SessionEnded):
            await adapter.renew(SESSION)
    assert [asked.target for asked in server.asked] == ["/user/profile"] * 2


async def test_a_refresh_token_renews(clock: Clock) -> None:
    renewed = {"user_id": "QX4821", "access_token": "at2", "refresh_token": "rt2"}
    async with zerodha(clock, success(renewed)) as (adapter, server):
        session = await adapter.renew(RENEWABLE)
    [asked] = server.asked
    assert (asked.target, asked.form["refresh_token"]) == ("/session/refresh_token", "rt1")
    assert asked.form["checksum"] == checksum("demo_key", "rt1", "demo_secret")
    assert session.secrets == {**SESSION.secrets, "access_token": "at2", "refresh_token": "rt2"}
    assert session.expires_at == datetime(2026, 2, 4, 0, 30, tzinfo=UTC)


async def test_a_spent_refresh_token_does_not_end_a_living_session(clock: Clock) -> None:
    refused = failure(403, "TokenException")
    async with zerodha(clock, refused, success({"user_id": "QX4821"}), refused) as (adapter, _):
        assert await adapter.renew(RENEWABLE) == RENEWABLE
        with pytest.raises(SessionEnded):
            await adapter.renew(RENEWABLE)


async def test_disconnect_ends_every_token_and_minds_no_dead_one(clock: Clock) -> None:
    async with zerodha(clock, failure(403, "TokenException"), success(True)) as (adapter, server):
        await adapter.disconnect(RENEWABLE)
    assert [(asked.method, asked.path) for asked in server.asked] == [
        ("DELETE", "/session/token")
    ] * 2
    assert [asked.query for asked in server.asked] == [
        {"api_key": "demo_key", "refresh_token": "rt1"},
        {"api_key": "demo_key", "access_token": "at1"},
    ]


async def test_a_cancelled_call_stays_cancelled(clock: Clock) -> None:
    asked = asyncio.Event()

    def ask(_: object) -> Say:
        asked.set()
        return Say(body=b"{", hang=True)

    async with zerodha(clock, ask) as (adapter, _):
        call = asyncio.create_task(read(adapter, SESSION, "profile"))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
