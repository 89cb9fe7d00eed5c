"""How long Zerodha's calls wait for their turn: a fetch to begin not long, all else while it takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from server.connectors.platforms.base import OverBudget, PlatformUnavailable
from server.connectors.platforms.zerodha import Zerodha
from server.connectors.records import DataType

from .scripted import Line, ScriptedServer, impatient, read
from .test_zerodha import KEYS, RENEWABLE, SESSION, failure, success

Clock = Callable[[], datetime]
SOON = timedelta(seconds=1)
RENEWED = {"user_id": "QX4821", "access_token": "at2", "refresh_token": "rt2"}


class Asked:
    """A budget that notes for how long calls would wait, and may have run out."""

    def __init__(self) -> None:
        self.patience: list[timedelta] = []
        self.over = False

    async def __call__(self, key: str, patience: timedelta) -> None:
        assert key == "demo_key"
        self.patience.append(patience)
        if self.over:
            raise OverBudget("Too many calls", SOON)

    @property
    def hurried(self) -> list[bool]:
        return [patience < SOON for patience in self.patience]


@asynccontextmanager
async def zerodha(
    clock: Clock, *script: Line
) -> AsyncIterator[tuple[Zerodha, ScriptedServer, Asked]]:
    asked = Asked()
    async with ScriptedServer(*script) as server:
        adapter = Zerodha(base_url=server.url, clock=clock, retry=impatient(), budget=asked)
        yield adapter, server, asked
        await adapter.aclose()


NOTHING = [success([]), success({"net": [], "day": []}), success([]), success({})]


@pytest.mark.parametrize(
    ("data_type", "script", "hurried"),
    [
        ("portfolio", NOTHING, [True, False, False, False]),
        ("trades", [success([]), success([])], [True, False]),
    ],
)
async def test_a_fetch_that_has_begun_is_not_thrown_away(
    clock: Clock, data_type: DataType, script: list[Line], hurried: list[bool]
) -> None:
    async with zerodha(clock, *script) as (adapter, _, asked):
        await read(adapter, SESSION, data_type)
    assert asked.hurried == hurried


async def test_somebody_waits_for_logins_and_renewals(clock: Clock) -> None:
    refused = failure(403, "TokenException")
    script = [success({**RENEWED, "user_type": "individual"}), refused, success({})]
    async with zerodha(clock, *script) as (adapter, _, asked):
        await adapter.connect({**KEYS, "requestToken": "rt"})
        await adapter.renew(RENEWABLE)
    assert asked.hurried == [False, False, False]


async def test_who_is_over_budget_neither_calls_nor_asks_again(clock: Clock) -> None:
    async with zerodha(clock) as (adapter, server, asked):
        asked.over = True
        for call in (read(adapter, SESSION, "profile"), adapter.renew(RENEWABLE)):
            with pytest.raises(OverBudget) as refused:
                await call
            assert refused.value.retry_after == SOON
    assert len(asked.patience) == 2
    assert server.asked == []


async def test_a_renewal_that_got_no_answer_is_asked_for_again(clock: Clock) -> None:
    busy = failure(429, "NetworkException", retry_after="1")
    away = failure(503, "NetworkException")
    async with zerodha(clock, busy, away, success(RENEWED), away, away, away) as (
        adapter,
        server,
        _,
    ):
        session = await adapter.renew(RENEWABLE)
        assert (session.secrets["refresh_token"], session.renewable) == ("rt2", True)
        with pytest.raises(PlatformUnavailable):
            await adapter.renew(RENEWABLE)
    assert {asked.path for asked in server.asked} == {"/session/refresh_token"}


async def test_only_a_session_with_a_refresh_token_is_renewable(clock: Clock) -> None:
    login = {**RENEWED, "user_type": "individual"}
    refused = failure(403, "TokenException")
    script = [success(login), success({**login, "refresh_token": ""}), refused, success({})]
    async with zerodha(clock, *script) as (adapter, _, _):
        for renewable in (True, False):
            session = await adapter.connect({**KEYS, "requestToken": "rt"})
            assert getattr(session, "renewable", None) is renewable
        # Its token is spent, as far as can be told, while the session goes on.
        assert not (await adapter.renew(RENEWABLE)).renewable
