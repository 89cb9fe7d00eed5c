from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.platforms.base import (
    PermissionRefused,
    PlatformDataError,
    PlatformError,
    PlatformUnavailable,
    SessionEnded,
)
from server.platforms.http import Wire
from server.platforms.mcp import EventStream, McpClient
from tests.platforms.scripted import Asked, Line, Say, ScriptedServer, impatient

Clock = Callable[[], datetime]
SESSION_ID = "mcp-session-00000000-0000-0000-0000-000000000001"
STREAM = {"Content-Type": "text/event-stream; charset=utf-8"}


@asynccontextmanager
async def mcp(clock: Clock, *script: Line) -> AsyncIterator[tuple[McpClient, ScriptedServer]]:
    async with ScriptedServer(*script) as server:
        wire = Wire("testbank", "Testbank", server.url, clock)
        yield McpClient("Testbank", f"{server.url}/mcp/stream", wire, impatient()), server
        await wire.aclose()


def response(asked: Asked, **outcome: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": asked.message["id"], **outcome}


def result(value: object, **headers: str) -> Line:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return lambda asked: Say(body=response(asked, result=value), headers=named)


def text(spoken: str, **more: object) -> Line:
    return result({"content": [{"type": "text", "text": spoken}], **more})


def rpc_error(code: int) -> Line:
    return lambda asked: Say(body=response(asked, error={"code": code, "message": "No."}))


HELLO = result({"protocolVersion": "2025-03-26"}, Mcp_Session_Id=SESSION_ID)


async def test_a_session_begins_with_an_introduction(clock: Clock) -> None:
    async with mcp(clock, HELLO, Say(202)) as (client, server):
        assert await client.open_session() == SESSION_ID
    hello, ready = server.asked
    assert hello.message["method"] == "initialize"
    assert "mcp-session-id" not in hello.headers
    assert hello.headers["content-type"] == "application/json"
    assert hello.headers["accept"] == "application/json, text/event-stream"
    assert ready.message == {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert ready.headers["mcp-session-id"] == SESSION_ID
    assert ready.headers["mcp-protocol-version"] == "2025-03-26"


@pytest.mark.parametrize(
    "hello",
    [
        result({"protocolVersion": "2025-03-26"}),
        result({"protocolVersion": "2025-03-26"}, Mcp_Session_Id="two words"),
        result({"protocolVersion": "1999-01-01"}, Mcp_Session_Id=SESSION_ID),
        result({}, Mcp_Session_Id=SESSION_ID),
        rpc_error(-32602),
        Say(404),
        Say(400, b"No."),
    ],
)
async def test_an_introduction_that_fails(clock: Clock, hello: Line) -> None:
    async with mcp(clock, hello, Say(202)) as (client, _):
        with pytest.raises(PlatformDataError):
            await client.open_session()


async def test_a_tool_is_called_in_its_session(clock: Clock) -> None:
    async with mcp(clock, text('{"a": 1}', isError=False)) as (client, server):
        assert await client.call_tool(SESSION_ID, "fetch_it") == '{"a": 1}'
    [asked] = server.asked
    assert asked.message["params"] == {"name": "fetch_it", "arguments": {}}
    assert asked.headers["mcp-session-id"] == SESSION_ID


def _events(asked: Asked, *, end: str = "\n") -> bytes:
    spoken = json.dumps(
        response(asked, result={"content": [{"type": "text", "text": "hé"}]}), indent=1
    )
    lines = [
        ": a comment", "event: message", 'data: {"jsonrpc": "2.0", "method": "notifications/x"}',
        "", 'data: {"jsonrpc": "2.0", "id": -1, "result": {}}', "", "id: 7", "event: message",
        *(f"data: {line}" for line in spoken.splitlines()), "", "",
    ]  # fmt: skip
    return end.join(lines).encode()


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_the_reply_may_come_in_an_event_stream(clock: Clock, status: int, end: str) -> None:
    def say(asked: Asked) -> Say:
        # A lone CR counts only once more follows, as it may be half of a line end.
        return Say(status, _events(asked, end=end) + b": end", STREAM)

    async with mcp(clock, say) as (client, _):
        assert await client.call_tool(SESSION_ID, "fetch_it") == "hé"


async def test_a_stream_that_stays_open_is_left_when_the_reply_is_there(clock: Clock) -> None:
    async with mcp(clock, lambda asked: Say(200, _events(asked), STREAM, hang=True)) as (client, _):
        assert await client.call_tool(SESSION_ID, "fetch_it") == "hé"


@pytest.mark.parametrize("body", [b"", b": nothing\n\n", b"data: {}\n\n", b"data: nonsense\n\n"])
async def test_a_stream_without_the_reply(clock: Clock, body: bytes) -> None:
    async with mcp(clock, Say(200, body, STREAM)) as (client, _):
        with pytest.raises(PlatformDataError):
            await client.call_tool(SESSION_ID, "fetch_it")


@given(st.lists(st.integers(1, 9), min_size=1), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_a_stream_reads_the_same_however_it_is_cut(sizes: list[int], end: bytes) -> None:
    lines = [b"data: {}", b"", b'data: {"id": 5,', b'data:"result": "yes"}', b"", b": more", b""]
    body = end.join(lines)
    stream, place = EventStream(5), 0
    while place < len(body):
        size = sizes[place % len(sizes)]
        stream.feed(body[place : place + size])
        place += size
    assert stream.reply == {"id": 5, "result": "yes"}


JSON_RPC_MISTAKE = {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "No."}}
JSON_RPC_SESSION = {"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": "No."}}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (Say(400, b"Invalid session ID\n"), SessionEnded),
        (Say(400, JSON_RPC_SESSION), SessionEnded),
        (Say(400, JSON_RPC_MISTAKE), PlatformDataError),
        (Say(401), SessionEnded),
        (Say(404, b"404 page not found"), SessionEnded),
        (Say(403), PermissionRefused),
        (Say(405), PlatformDataError),
        (Say(301, b"", {"Location": "/mcp/"}), PlatformDataError),
        (Say(429), PlatformUnavailable),
        (Say(503, b"<html>"), PlatformUnavailable),
        (Say(200, b"<html>", {"Content-Type": "text/html"}), PlatformDataError),
        (Say(200, {"jsonrpc": "2.0", "id": -1, "result": {}}), PlatformDataError),
        (Say(200, []), PlatformDataError),
        (rpc_error(-32602), PlatformDataError),
        (rpc_error(-32603), PlatformUnavailable),
        (result(None), PlatformDataError),
        (result({}), PlatformDataError),
        (result({"content": []}), PlatformDataError),
        (result({"content": [{"type": "image"}]}), PlatformDataError),
        (result({"content": [{"type": "text", "text": 5}]}), PlatformDataError),
        (text("error reading test data file", isError=True), PlatformUnavailable),
        (text("phone number is not allowed", isError=True), PermissionRefused),
    ],
)
async def test_what_a_reply_means(clock: Clock, line: Line, error: type[PlatformError]) -> None:
    async with mcp(clock, line) as (client, server):
        with pytest.raises(error) as caught:
            await client.call_tool(SESSION_ID, "fetch_it")
    assert len(server.asked) == (3 if error is PlatformUnavailable else 1)
    assert not any(secret in str(caught.value) for secret in (SESSION_ID, "No.", "phone"))


async def test_the_wait_asked_for_is_passed_on(clock: Clock) -> None:
    async with mcp(clock, Say(429, headers={"Retry-After": "60"})) as (client, server):
        with pytest.raises(PlatformUnavailable) as caught:
            await client.call_tool(SESSION_ID, "fetch_it")
    assert (caught.value.retry_after, len(server.asked)) == (timedelta(minutes=1), 1)


@pytest.mark.parametrize("status", [200, 204, 400, 404, 405])
async def test_closing_a_session_minds_no_refusal(clock: Clock, status: int) -> None:
    async with mcp(clock, Say(status)) as (client, server):
        await client.close_session(SESSION_ID)
    [asked] = server.asked
    assert (asked.method, asked.headers["mcp-session-id"]) == ("DELETE", SESSION_ID)
