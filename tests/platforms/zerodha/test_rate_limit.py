"""How long Zerodha's calls wait under the rate limit: a fetch to begin not long, all else while it takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial

import pytest
from finlink_words import DataType

from server.platforms.base import OverRateLimit, PlatformUnavailable, SessionEnded, Slot
from server.platforms.zerodha.adapter import Zerodha
from tests.platforms.adapters import zerodha_at
from tests.platforms.scripted import Asked, Line, Say, ScriptedServer, impatient, read
from tests.platforms.zerodha.test_adapter import KEYS, RENEWABLE, SESSION, failure, success

Clock = Callable[[], datetime]
SOON = timedelta(seconds=1)
RENEWED = {"user_id": "QX4821", "access_token": "at2", "refresh_token": "rt2"}


class RateLimiter:
    """Notes for how long calls would wait, and may have no slots."""

    def __init__(self) -> None:
        self.longest_wait: list[timedelta] = []
        self.calls: list[int] = []
        self.begun: list[int] = []  # places among the calls asked for together
        self.over = False

    async def __call__(self, key: str, longest_wait: timedelta, calls: int) -> Sequence[Slot]:
        assert key == "demo_key"
        self.longest_wait.append(longest_wait)
        self.calls.append(calls)
        if self.over:
            raise OverRateLimit("Too many calls", SOON)
        return [partial(self._begin, place) for place in range(calls)]

    async def _begin(self, place: int) -> None:
        self.begun.append(place)

    @property
    def hurried(self) -> list[bool]:
        return [longest_wait < SOON for longest_wait in self.longest_wait]


@asynccontextmanager
async def zerodha(
    clock: Clock, *script: Line
) -> AsyncIterator[tuple[Zerodha, ScriptedServer, RateLimiter]]:
    asked = RateLimiter()
    async with ScriptedServer(*script) as server:
        adapter = zerodha_at(
            server.url, server.url, clock=clock, retry=impatient(), rate_limit=asked
        )
        yield adapter, server, asked
        await adapter.aclose()


def replies(request: Asked) -> Say:
    """Of an account with nothing in it."""
    others: dict[str, object] = {
        "/portfolio/positions": {"net": [], "day": []},
        "/user/margins": {},
        "/user/profile": {"user_id": "QX4821"},
    }
    return success(others.get(request.path, []))


def with_fills(request: Asked) -> Say:
    return success([{"trade_id": "1"}]) if request.path == "/trades" else replies(request)


@pytest.mark.parametrize(("data_type", "calls"), [("portfolio", 4), ("trades", 2), ("profile", 1)])
async def test_a_fetch_has_all_its_calls_from_the_rate_limit_or_none(
    clock: Clock, data_type: DataType, calls: int
) -> None:
    async with zerodha(clock, replies) as (adapter, server, asked):
        await read(adapter, SESSION, data_type)
    assert (asked.calls, asked.hurried) == ([calls], [True])
    assert sorted(asked.begun) == list(range(calls))
    assert len(server.asked) == calls


async def test_a_call_that_is_made_again_has_another_moment_and_the_others_theirs(
    clock: Clock,
) -> None:
    failures = ["/mf/holdings", "/mf/holdings"]

    def flaky(request: Asked) -> Say:
        if request.path in failures:
            failures.remove(request.path)
            return failure(503, "NetworkException")
        return replies(request)

    async with zerodha(clock, flaky) as (adapter, server, asked):
        await read(adapter, SESSION, "portfolio")
    assert (asked.calls, asked.hurried) == ([4, 1, 1], [True, False, False])
    assert len(server.asked) == len(asked.begun) == 6


async def test_an_outage_meets_each_call_once_and_only_the_first_again(clock: Clock) -> None:
    async with zerodha(clock, failure(503, "NetworkException")) as (adapter, server, asked):
        with pytest.raises(PlatformUnavailable):
            await read(adapter, SESSION, "portfolio")
    assert asked.calls == [4, 1, 1]
    assert [request.path for request in server.asked[4:]] == ["/portfolio/holdings"] * 2


async def test_an_ended_session_ends_the_reading(clock: Clock) -> None:
    async with zerodha(clock, failure(403, "TokenException")) as (adapter, server, asked):
        with pytest.raises(SessionEnded):
            await read(adapter, SESSION, "portfolio")
    assert asked.calls == [4]
    assert len(server.asked) <= 4


async def test_what_a_run_has_asked_for_already_it_does_not_ask_for_again(clock: Clock) -> None:
    async with zerodha(clock, with_fills) as (adapter, server, asked):
        async with adapter.reading(SESSION) as reading:
            await reading.fetch("portfolio")
            await reading.fetch("trades")  # and what it needs of the holdings
        assert (asked.calls, len(server.asked)) == ([4, 2], 6)
        async with adapter.reading(SESSION) as reading:
            await reading.fetch("trades")
        assert asked.calls[2:] == [2, 1]
        assert server.asked[-1].path == "/portfolio/holdings"


async def test_somebody_waits_for_logins_and_renewals(clock: Clock) -> None:
    refused = failure(403, "TokenException")
    script = [success({**RENEWED, "user_type": "individual"}), refused, success({})]
    async with zerodha(clock, *script) as (adapter, _, asked):
        await adapter.connect({**KEYS, "requestToken": "rt"})
        await adapter.renew(RENEWABLE)
    assert asked.hurried == [False, False, False]


async def test_who_is_over_the_limit_neither_calls_nor_asks_again(clock: Clock) -> None:
    async with zerodha(clock) as (adapter, server, asked):
        asked.over = True
        for call in (read(adapter, SESSION, "profile"), adapter.renew(RENEWABLE)):
            with pytest.raises(OverRateLimit) as refused:
                await call
            assert refused.value.retry_after == SOON
    assert len(asked.longest_wait) == 2
    assert server.asked == []


async def test_a_renewal_that_got_no_reply_is_asked_for_again(clock: Clock) -> None:
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
