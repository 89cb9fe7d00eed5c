"""What Zerodha's logins have of their own, against its sandbox; see test_conformance for what all have."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import pytest_asyncio

from server.platforms.base import CredentialsRefused, LoginRequired, PlatformSession, SessionEnded
from server.platforms.login_driver import LoginDriver
from server.platforms.records import Holding
from server.platforms.zerodha.adapter import Zerodha
from tests.platforms.adapters import zerodha_at
from tests.platforms.scripted import read
from tests.sandbox.accounts import PLATFORM_KEY
from tests.sandbox.driver import API_SECRET, Running

# What the product's documentation shows as a request's credentials.
SHOWN = {"username": "user123", "password": "platformPassword", "apiKey": "platform_api_key"}


def now() -> datetime:
    return datetime.now(UTC)


def made(sandbox: Running, driver: LoginDriver | None = None) -> Zerodha:
    login_url = f"{sandbox.zerodha}/connect/login"
    return zerodha_at(
        sandbox.zerodha, login_url, api_secret=API_SECRET, login_driver=driver, clock=now
    )


@pytest_asyncio.fixture
async def zerodha(sandbox: Running) -> AsyncIterator[Zerodha]:
    adapter = made(sandbox, LoginDriver(sandbox.zerodha))
    yield adapter
    await adapter.aclose()


async def connected(zerodha: Zerodha, **changes: str) -> PlatformSession:
    session = await zerodha.connect({**SHOWN, **changes})
    assert isinstance(session, PlatformSession)
    return session


async def test_from_connect_to_disconnect(zerodha: Zerodha) -> None:
    session = await connected(zerodha)
    assert session.expires_at - now() <= timedelta(days=1)
    assert set(session.secrets) == {"api_key", "api_secret", "access_token"}
    records = [item.record for item in await read(zerodha, session, "portfolio")]
    assert {record.kind for record in records if isinstance(record, Holding)} == {
        "equity", "position", "mutual_fund", "cash",
    }  # fmt: skip
    assert await zerodha.renew(session) == session
    await zerodha.disconnect(session)
    with pytest.raises(SessionEnded):
        await read(zerodha, session, "profile")
    with pytest.raises(SessionEnded):
        await zerodha.renew(session)


async def test_a_refresh_token(zerodha: Zerodha) -> None:
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


async def test_a_login_on_its_own_page(sandbox: Running) -> None:
    adapter = made(sandbox)
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
    assert isinstance(session, PlatformSession)
    assert session.platform_user_id == "QX4821"
    with pytest.raises(CredentialsRefused):
        await adapter.complete(pending.secrets, {"requestToken": token})
    await adapter.aclose()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"apiSecret": "another_secret"}, None),
        ({"requestToken": "never_issued"}, "requestToken"),
    ],
)
async def test_what_it_refuses(
    zerodha: Zerodha, changes: dict[str, str], field: str | None
) -> None:
    with pytest.raises(CredentialsRefused) as caught:
        await zerodha.connect({**SHOWN, **changes})
    assert caught.value.field == field


async def test_a_session_that_the_next_login_killed(zerodha: Zerodha) -> None:
    first = await connected(zerodha, username="twice")
    second = await connected(zerodha, username="twice")
    with pytest.raises(SessionEnded):
        await read(zerodha, first, "portfolio")
    assert await read(zerodha, second, "portfolio")
