"""What Fi's logins and data have of their own, against its sandbox; test_conformance has what all have."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
import pytest_asyncio
from finlink_words import DataType

from server.platforms.base import (
    CredentialsRefused,
    LoginRequired,
    PlatformDataError,
    PlatformSession,
    SessionEnded,
)
from server.platforms.fi_money.adapter import FiMoney
from server.platforms.login_driver import LoginDriver
from server.platforms.records import Holding
from tests.platforms.adapters import fi_money_at
from tests.platforms.scripted import read
from tests.sandbox.driver import Running, running


def now() -> datetime:
    return datetime.now(UTC)


def made(sandbox: Running, driver: LoginDriver | None = None) -> FiMoney:
    url = f"{sandbox.fi_money}/mcp/stream"
    return fi_money_at(url, login_driver=driver, clock=now)


@pytest_asyncio.fixture
async def fi(fi_sandbox: Running) -> AsyncIterator[FiMoney]:
    adapter = made(fi_sandbox, LoginDriver(fi_sandbox.fi_money))
    yield adapter
    await adapter.aclose()


async def connected(fi: FiMoney, username: str = "user123") -> PlatformSession:
    session = await fi.connect({"username": username, "password": "platformPassword"})
    assert isinstance(session, PlatformSession)
    return session


async def kinds(fi: FiMoney, session: PlatformSession, data_type: DataType) -> Counter[str]:
    return Counter(
        item.record.kind if isinstance(item.record, Holding) else type(item.record).__name__
        for item in await read(fi, session, data_type)
    )


async def test_from_connect_to_disconnect(fi: FiMoney) -> None:
    session = await connected(fi)
    assert session.account_type == "mcp"
    assert set(await kinds(fi, session, "transactions")) == {"Transaction"}
    assert set(await kinds(fi, session, "trades")) == {"Trade"}
    assert await kinds(fi, session, "profile") == {"Profile": 1}
    portfolio = await kinds(fi, session, "portfolio")
    assert portfolio["asset_total"] > 1
    assert portfolio["mutual_fund"] > 1
    assert await fi.renew(session) == session
    await fi.disconnect(session)


async def test_a_login_on_its_own_page(fi_sandbox: Running) -> None:
    adapter = made(fi_sandbox)
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
    assert isinstance(session, PlatformSession)
    assert await read(adapter, session, "transactions")
    await adapter.aclose()


async def test_a_number_that_it_does_not_serve(fi: FiMoney) -> None:
    with pytest.raises(CredentialsRefused) as caught:
        await connected(fi, "0000000000")
    assert caught.value.field == "username"


async def test_without_data_and_with_a_wrong_document(fi: FiMoney) -> None:
    nothing = await connected(fi, "1111111111")
    assert await kinds(fi, nothing, "transactions") == {}
    assert await kinds(fi, nothing, "trades") == {}
    assert await kinds(fi, nothing, "portfolio") == {"asset_total": 1}
    odd = await connected(fi, "2525252525")
    assert await kinds(fi, odd, "transactions")
    with pytest.raises(PlatformDataError, match=r"^fetch_net_worth: expected netWorthResponse"):
        await read(fi, odd, "portfolio")


async def test_a_login_that_ran_out() -> None:
    with running("--option", "fi_money.session_ttl=0") as sandbox:
        adapter = made(sandbox)
        pending = await adapter.connect({})
        assert isinstance(pending, LoginRequired)
        session = PlatformSession("fi_1", "mcp", now(), pending.secrets)
        for ask in (adapter.renew(session), read(adapter, session, "trades")):
            with pytest.raises(SessionEnded):
                await ask
        await adapter.aclose()
