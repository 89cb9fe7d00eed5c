"""SMS to a provider's end: what it is sent, and what its replies mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from server.delivery.errors import NotSent, Refused
from server.delivery.message import Outgoing
from server.delivery.sms import SmsTransport
from tests.platforms.scripted import Say, ScriptedServer
from tests.stack import free_ports

SMS = Outgoing(
    "dlv_1", datetime(2026, 2, 3, tzinfo=UTC), "+919876543210", "481516 ist der Code", ""
)


@asynccontextmanager
async def transport(url: str) -> AsyncIterator[SmsTransport]:
    way = SmsTransport(f"{url}/v1/messages", "s3cret", "FINLNK")
    try:
        yield way
    finally:
        await way.aclose()


async def failure(url: str) -> NotSent:
    async with transport(url) as way:
        with pytest.raises(NotSent) as caught:
            await way.send(SMS)
    return caught.value


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_what_a_provider_is_sent(status: int) -> None:
    async with ScriptedServer(Say(status)) as provider, transport(provider.url) as way:
        await way.send(SMS)
        await way.send(SMS)
    for asked in provider.asked:
        assert (asked.method, asked.target) == ("POST", "/v1/messages")
        assert asked.headers["authorization"] == "Bearer s3cret"
        assert asked.headers["content-type"] == "application/json"
        assert asked.message == {
            "to": "+919876543210", "from": "FINLNK", "text": "481516 ist der Code",
            "reference": "dlv_1",
        }  # fmt: skip


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
async def test_a_refused_message_is_not_for_later(status: int) -> None:
    async with ScriptedServer(Say(status, {"error": "+919876543210"})) as provider:
        error = await failure(provider.url)
    assert (error.code, isinstance(error, Refused)) == (f"HTTP_{status}", True)


@pytest.mark.parametrize("status", [302, 307, 408, 429, 500, 502, 503])
async def test_others_pass(status: int) -> None:
    """A redirect is not followed: the token is for one address alone."""
    headers = {"Location": "http://127.0.0.1:1/"} if status in {302, 307} else {}
    async with ScriptedServer(Say(status, headers=headers)) as provider:
        error = await failure(provider.url)
    assert (error.code, isinstance(error, Refused)) == (f"HTTP_{status}", False)
    assert len(provider.asked) == 1


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("17", timedelta(seconds=17)), (" 5 ", timedelta(seconds=5)), ("9" * 40, timedelta(days=1)),
        ("-5", None), ("soon", None), ("Tue, 03 Feb 2026 04:00:10 GMT", None),
    ],
)  # fmt: skip
async def test_how_long_it_wants_to_be_left_alone(header: str, wait: timedelta | None) -> None:
    async with ScriptedServer(Say(429, headers={"Retry-After": header})) as provider:
        assert (await failure(provider.url)).retry_after == wait


async def test_nobody_listens() -> None:
    (port,) = free_ports(1)
    error = await failure(f"http://127.0.0.1:{port}")
    assert not isinstance(error, Refused)
    assert str(port) not in str(error)


async def test_a_provider_that_hangs_or_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.delivery.sms.CALL_SECONDS", 0.3)
    over = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    for behaviour, code in ((silent, "TIMEOUT"), (rude, "ServerDisconnectedError")):
        server = await asyncio.start_server(behaviour, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        error = await failure(f"http://127.0.0.1:{port}")
        assert (error.code, isinstance(error, Refused)) == (code, False)
        over.set()
        server.close()
        await server.wait_closed()
