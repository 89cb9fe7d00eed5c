from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp.http_exceptions import ContentEncodingError

from server.platforms.base import PlatformDataError, PlatformError, PlatformUnavailable
from server.platforms.http import Retry, Wire, parse_retry_after, transport_error
from tests.platforms.scripted import NoWait, Say, ScriptedServer

NOW = datetime(2026, 2, 3, 4, 0, tzinfo=UTC)
Clock = Callable[[], datetime]


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("0", timedelta(0)),
        (" 30 ", timedelta(seconds=30)),
        ("9" * 40, timedelta(days=1)),
        ("Tue, 03 Feb 2026 04:00:10 GMT", timedelta(seconds=10)),
        ("Tue, 03 Feb 2026 03:00:00 GMT", timedelta(0)),
        ("Tue, 03 Feb 2026 04:00:10 -0000", timedelta(seconds=10)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", timedelta(days=1)),
        ("Fri, 99 Foo 2026 04:00:10 GMT", None),
    ],
)
def test_retry_after(header: str | None, wait: timedelta | None) -> None:
    assert parse_retry_after(header, NOW) == wait


def _all_subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    for child in kind.__subclasses__():
        yield child
        yield from _all_subclasses(child)


@pytest.mark.parametrize(
    "kind",
    [TimeoutError, ValueError, ContentEncodingError, *_all_subclasses(aiohttp.ClientError)],
    ids=lambda kind: kind.__name__,
)
def test_every_transport_error_has_a_meaning(kind: type[Exception]) -> None:
    error = kind.__new__(kind, "token api_key:secret")
    error.args = ("token api_key:secret",)
    meaning = transport_error("Testbank", error)
    assert isinstance(meaning, PlatformError)
    assert "secret" not in str(meaning)


async def test_nobody_listens(clock: Clock) -> None:
    async with ScriptedServer(Say()) as server:
        url = server.url
    wire = Wire("testbank", "Testbank", url, clock)
    with pytest.raises(
        PlatformUnavailable, match=r"^Testbank cannot be reached \(ClientConnectorError\)$"
    ):
        await wire.send("GET", url, call="test")
    await wire.aclose()


async def test_a_request_goes_out_once_also_where_its_connection_had_served_before(
    clock: Clock,
) -> None:
    asked = 0

    async def serve_one_and_hang_up_on_the_next(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal asked
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            asked += 1
            if asked == 1:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
        writer.close()

    server = await asyncio.start_server(serve_one_and_hang_up_on_the_next, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        wire = Wire("testbank", "Testbank", url, clock)
        assert (await wire.send("GET", url, call="test")).body == b"[]"
        with pytest.raises(PlatformUnavailable, match="cannot be reached"):
            await wire.send("GET", url, call="test")
        assert asked == 2
        await wire.aclose()


async def test_a_reply_that_breaks_off(clock: Clock) -> None:
    async with ScriptedServer(Say(body=b"x" * 100, cut=10)) as server:
        wire = Wire("testbank", "Testbank", server.url, clock)
        with pytest.raises(PlatformUnavailable):
            await wire.send("GET", server.url, call="test")
        await wire.aclose()


async def test_a_reply_that_never_ends(clock: Clock) -> None:
    async with ScriptedServer(Say(body=b"[", hang=True)) as server:
        wire = Wire("testbank", "Testbank", server.url, clock, call_seconds=0.05)
        with pytest.raises(PlatformUnavailable, match="in time"):
            await wire.send("GET", server.url, call="test")
        await wire.aclose()


async def test_a_reply_that_is_too_long_packed_or_not(clock: Clock) -> None:
    bomb = Say(body=gzip.compress(b" " * 100_000), headers={"Content-Encoding": "gzip"})
    async with ScriptedServer(Say(body=b" " * 1001), bomb, Say(body=b" " * 1000)) as server:
        wire = Wire("testbank", "Testbank", server.url, clock, most_bytes=1000)
        for _ in range(2):
            with pytest.raises(PlatformDataError, match="more than 1000 bytes"):
                await wire.send("GET", server.url, call="test")
        assert len((await wire.send("GET", server.url, call="test")).body) == 1000
        await wire.aclose()


async def test_packed_replies_are_unpacked_and_broken_ones_refused(clock: Clock) -> None:
    packed = {"Content-Encoding": "gzip"}
    async with ScriptedServer(
        Say(body=gzip.compress(b"[]"), headers=packed), Say(body=b"not gzip", headers=packed)
    ) as server:
        wire = Wire("testbank", "Testbank", server.url, clock)
        assert (await wire.send("GET", server.url, call="test")).body == b"[]"
        with pytest.raises(PlatformDataError, match="decompress"):
            await wire.send("GET", server.url, call="test")
        await wire.aclose()


async def test_redirects_are_not_followed_and_cookies_not_kept(clock: Clock) -> None:
    redirect = Say(302, headers={"Location": "/elsewhere", "Set-Cookie": "user=mira; Path=/"})
    async with ScriptedServer(redirect) as server:
        wire = Wire("testbank", "Testbank", server.url, clock)
        assert (await wire.send("GET", server.url, call="test")).status == 302
        await wire.send("GET", server.url, call="test")
        assert [asked.path for asked in server.asked] == ["/", "/"]
        assert all("cookie" not in asked.headers for asked in server.asked)
        await wire.aclose()


class Flaky:
    def __init__(self, *errors: PlatformError) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


async def test_an_unavailable_platform_is_asked_three_times() -> None:
    sleep = NoWait()
    flaky = Flaky(*[PlatformUnavailable("down")] * 2)
    assert await Retry(sleep=sleep)(flaky) == "done"
    assert len(sleep.waits) == 2
    flaky = Flaky(*[PlatformUnavailable("down")] * 3)
    with pytest.raises(PlatformUnavailable):
        await Retry(sleep=sleep)(flaky)
    assert flaky.calls == 3


async def test_a_short_wait_is_honoured_and_a_long_one_left_to_the_caller() -> None:
    sleep = NoWait()
    assert await Retry(sleep=sleep)(Flaky(PlatformUnavailable("busy", timedelta(seconds=2))))
    assert sleep.waits[0] >= 2
    flaky = Flaky(PlatformUnavailable("busy", timedelta(seconds=3)))
    with pytest.raises(PlatformUnavailable) as caught:
        await Retry(sleep=sleep)(flaky)
    assert (flaky.calls, caught.value.retry_after) == (1, timedelta(seconds=3))


async def test_only_unavailability_is_worth_another_try() -> None:
    flaky = Flaky(PlatformDataError("nonsense"))
    with pytest.raises(PlatformDataError):
        await Retry(sleep=NoWait())(flaky)
    assert flaky.calls == 1


async def test_polling_ends_with_the_last_reply() -> None:
    replies = iter("abcde")

    async def ask() -> str:
        return next(replies)

    retry = Retry(sleep=NoWait())
    assert await retry.poll(ask, lambda reply: reply == "b", 3) == "b"
    assert await retry.poll(ask, lambda _: False, 2) == "d"
