"""The whole life of a connection, against the sandbox process over its real wire protocols."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import pytest_asyncio
from finlink_words import DataType

from server.platforms.base import (
    CredentialsRefused,
    LoginRequired,
    Platform,
    PlatformDataError,
    Session,
    SessionEnded,
)
from server.platforms.fi_money.adapter import FiMoney
from server.platforms.login_driver import LoginDriver
from server.platforms.records import Holding, Item
from server.platforms.zerodha.adapter import Zerodha
from tests.platforms.scripted import read
from tests.sandbox.accounts import PLATFORM_KEY
from tests.sandbox.driver import API_SECRET, Running, running

# What the product's documentation shows as a request's credentials, for either platform.
SHOWN = {"username": "user123", "password": "platformPassword", "apiKey": "platform_api_key"}


def now() -> datetime:
    return datetime.now(UTC)


def make_zerodha(sandbox: Running, driver: LoginDriver | None = None) -> Zerodha:
    return Zerodha(
        base_url=sandbox.zerodha, login_url=f"{sandbox.zerodha}/connect/login",
        api_secret=API_SECRET, driver=driver, clock=now,
    )  # fmt: skip


def make_fi(sandbox: Running, driver: LoginDriver | None = None) -> FiMoney:
    return FiMoney(
        base_url=f"{sandbox.fi_money}/mcp/stream", hash_key=b"key", driver=driver, clock=now
    )


@pytest_asyncio.fixture
async def zerodha(sandbox: Running) -> AsyncIterator[Zerodha]:
    adapter = make_zerodha(sandbox, LoginDriver(sandbox.zerodha))
    yield adapter
    await adapter.aclose()


@pytest_asyncio.fixture
async def fi(fi_sandbox: Running) -> AsyncIterator[FiMoney]:
    adapter = make_fi(fi_sandbox, LoginDriver(fi_sandbox.fi_money))
    yield adapter
    await adapter.aclose()


async def connected(platform: Platform, **changes: str) -> Session:
    session = await platform.connect({**SHOWN, **changes})
    assert isinstance(session, Session)
    return session


def kinds(items: Sequence[Item]) -> Counter[str]:
    return Counter(
        item.record.kind if isinstance(item.record, Holding) else type(item.record).__name__
        for item in items
    )


async def fetch(platform: Platform, session: Session, data_type: DataType) -> Counter[str]:
    """Kinds of the items; two fetches must agree about their keys."""
    items = await read(platform, session, data_type)
    again = await read(platform, session, data_type)
    assert [item.key for item in items] == [item.key for item in again]
    assert len({item.key for item in items}) == len(items)
    return kinds(items)


async def test_zerodha_from_connect_to_disconnect(zerodha: Zerodha) -> None:
    session = await connected(zerodha)
    assert session.expires_at - now() <= timedelta(days=1)
    assert set(session.secrets) == {"api_key", "api_secret", "access_token"}
    portfolio = await fetch(zerodha, session, "portfolio")
    assert set(portfolio) == {"equity", "position", "mutual_fund", "cash"}
    assert set(await fetch(zerodha, session, "trades")) == {"Trade"}
    assert await fetch(zerodha, session, "profile") == {"Profile": 1}
    assert await zerodha.renew(session) == session
    await zerodha.disconnect(session)
    with pytest.raises(SessionEnded):
        await read(zerodha, session, "profile")
    with pytest.raises(SessionEnded):
        await zerodha.renew(session)
    await zerodha.disconnect(session)


async def test_zerodha_with_a_refresh_token(zerodha: Zerodha) -> None:
    first = await connected(zerodha, apiKey=PLATFORM_KEY)
    assert first.secrets["refresh_token"]
    second = await zerodha.renew(first)
    assert second.secrets["access_token"] != first.secrets["access_token"]
    with pytest.raises(SessionEnded):
        await read(zerodha, first, "profile")
    assert await read(zerodha, second, "profile")
    await zerodha.disconnect(second)
    with pytest.raises(SessionEnded):
        await zerodha.renew(second)


async def test_zerodha_with_a_login_on_its_own_page(sandbox: Running) -> None:
    adapter = make_zerodha(sandbox)
    pending = await adapter.connect(SHOWN)
    assert isinstance(pending, LoginRequired)
    # The user's browser, up to the redirect that the app reads the token from.
    async with httpx.AsyncClient() as browser:
        assert (await browser.get(pending.login_url)).status_code == 200
        back = await browser.post(
            f"{sandbox.zerodha}/connect/login",
            data={"api_key": "platform_api_key", "user_id": "qx4821", "password": "x"},
        )
    token = httpx.URL(back.headers["location"]).params["request_token"]
    session = await adapter.complete(pending.secrets, {"requestToken": token})
    assert isinstance(session, Session)
    assert session.platform_user_id == "QX4821"
    with pytest.raises(CredentialsRefused):
        await adapter.complete(pending.secrets, {"requestToken": token})
    await adapter.aclose()


async def test_zerodha_refuses(zerodha: Zerodha) -> None:
    for changes, field in (
        ({"password": "wrong"}, "password"),
        ({"apiSecret": "another_secret"}, None),
        ({"requestToken": "never_issued"}, "requestToken"),
    ):
        with pytest.raises(CredentialsRefused) as caught:
            await zerodha.connect({**SHOWN, **changes})
        assert caught.value.field == field


async def test_a_session_that_the_next_login_killed(zerodha: Zerodha) -> None:
    first = await connected(zerodha, username="twice")
    second = await connected(zerodha, username="twice")
    with pytest.raises(SessionEnded):
        await read(zerodha, first, "portfolio")
    assert await read(zerodha, second, "portfolio")


async def test_fi_from_connect_to_disconnect(fi: FiMoney) -> None:
    session = await connected(fi)
    assert session.account_type == "mcp"
    assert session.platform_user_id == (await connected(fi)).platform_user_id
    assert set(await fetch(fi, session, "transactions")) == {"Transaction"}
    assert set(await fetch(fi, session, "trades")) == {"Trade"}
    assert await fetch(fi, session, "profile") == {"Profile": 1}
    portfolio = await fetch(fi, session, "portfolio")
    assert portfolio["asset_total"] > 1
    assert portfolio["mutual_fund"] > 1
    assert await fi.renew(session) == session
    await fi.disconnect(session)


async def test_fi_with_a_login_on_its_own_page(fi_sandbox: Running) -> None:
    adapter = make_fi(fi_sandbox)
    pending = await adapter.connect({})
    assert isinstance(pending, LoginRequired)
    still = await adapter.complete(pending.secrets, {})
    assert still == pending
    async with httpx.AsyncClient() as browser:
        assert (await browser.get(pending.login_url)).status_code == 200
        await browser.post(
            f"{fi_sandbox.fi_money}/login",
            data={**httpx.URL(pending.login_url).params, "phoneNumber": "2222222222"},
        )
    session = await adapter.complete(pending.secrets, {})
    assert isinstance(session, Session)
    assert await read(adapter, session, "transactions")
    await adapter.aclose()


async def test_fi_refuses(fi: FiMoney) -> None:
    for changes, field in (
        ({"password": "wrong"}, "password"),
        ({"username": "0000000000"}, "username"),
    ):
        with pytest.raises(CredentialsRefused) as caught:
            await fi.connect({**SHOWN, **changes})
        assert caught.value.field == field


async def test_fi_without_data_and_with_a_wrong_document(fi: FiMoney) -> None:
    nothing = await connected(fi, username="1111111111")
    assert await fetch(fi, nothing, "transactions") == {}
    assert await fetch(fi, nothing, "trades") == {}
    assert await fetch(fi, nothing, "portfolio") == {"asset_total": 1}
    odd = await connected(fi, username="2525252525")
    assert await fetch(fi, odd, "transactions")
    with pytest.raises(PlatformDataError, match=r"^fetch_net_worth: expected netWorthResponse"):
        await read(fi, odd, "portfolio")


async def test_a_fi_login_that_ran_out() -> None:
    with running("--option", "fi_money.session_ttl=0") as sandbox:
        adapter = make_fi(sandbox)
        pending = await adapter.connect({})
        assert isinstance(pending, LoginRequired)
        session = Session("fi_1", "mcp", now(), pending.secrets)
        for ask in (adapter.renew(session), read(adapter, session, "trades")):
            with pytest.raises(SessionEnded):
                await ask
        await adapter.aclose()


@pytest.mark.full_only
@pytest.mark.parametrize("make", [make_zerodha, make_fi])
async def test_a_sandbox_that_is_gone(make: Callable[[Running, LoginDriver], Platform]) -> None:
    with running() as sandbox:
        platform = make(sandbox, LoginDriver(sandbox.zerodha))
        session = await connected(platform)
    with pytest.raises(Exception, match="cannot be reached") as caught:
        await read(platform, session, "portfolio")
    assert type(caught.value).__name__ == "PlatformUnavailable"
    await platform.aclose()


async def test_no_secret_reaches_the_log(
    sandbox: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    driver = LoginDriver(sandbox.zerodha, sandbox.fi_money)
    held: list[str] = ["platformPassword"]
    for platform in (make_zerodha(sandbox, driver), make_fi(sandbox, driver)):
        session = await connected(platform)
        await read(platform, session, "profile")
        await platform.disconnect(session)
        await platform.aclose()
        held += [
            session.secrets[name]
            for name in ("access_token", "session_id")
            if name in session.secrets
        ]
    assert len(held) == 3
    assert not [secret for secret in held if secret in caplog.text]
