"""The little of MCP over streamable HTTP that reading tools takes.

One JSON-RPC message per POST; the reply comes as JSON or as an event stream. The session id is
what a login is bound to: who has it can read the user's data, so it is never logged or quoted.
Behaviour as in the MCP specification and as observed on the Fi MCP dev server.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping

from server.platforms.base import (
    PermissionRefused,
    PlatformDataError,
    PlatformUnavailable,
    SessionEnded,
)
from server.platforms.document import Node, parse
from server.platforms.http import Reply, Retry, Wire

# The version of Fi's dev server, which the specification also assumes if none is named.
PROTOCOL_VERSION = "2025-03-26"
_KNOWN_VERSIONS = frozenset({"2024-11-05", PROTOCOL_VERSION, "2025-06-18", "2025-11-25"})
_SESSION_ID = re.compile(r"[\x21-\x7e]{1,512}")
_INTERNAL_ERROR = -32603
_OUR_MISTAKES = frozenset({-32700, -32600, -32601, -32602})


class McpClient:
    """`platform` is the name that errors call the server by."""

    def __init__(self, platform: str, url: str, wire: Wire, retry: Retry) -> None:
        self._platform = platform
        self._url = url
        self._wire = wire
        self._retry = retry

    async def open_session(self) -> str:
        """Introduce ourselves; the id of a fresh session, not yet logged in."""
        reply, result = await self._call(
            "initialize",
            {
                "protocolVersion": PROTOCOL_VERSION,
                "capabilities": {},
                "clientInfo": {"name": "finlink", "version": "1"},
            },
            session_id=None,
        )
        version = result.get("protocolVersion")
        if version.text() not in _KNOWN_VERSIONS:
            raise version.bad("a protocol version known here")
        session_id = reply.headers.get("mcp-session-id", "")
        if not _SESSION_ID.fullmatch(session_id):
            raise PlatformDataError("initialize: expected a header Mcp-Session-Id")
        introduced = "notifications/initialized"
        await self._send(introduced, {"method": introduced}, session_id)
        return str(session_id)

    async def call_tool(self, session_id: str, tool: str) -> str:
        """The text a tool replies with. Tools here only read, so a broken call is tried again.

        Raises SessionEnded where the session is unknown, PermissionRefused where the server says
        that this user is not allowed, PlatformUnavailable where the tool failed, and
        PlatformDataError.
        """
        return await self._retry(lambda: self._call_tool_once(session_id, tool))

    async def close_session(self, session_id: str) -> None:
        """End the session. One that is over already, or a server that ends none, is fine."""
        reply = await self._wire.send(
            "DELETE", self._url, call="end session", headers=_headers(session_id)
        )
        reply.raise_for_unavailable(self._platform)

    async def _call_tool_once(self, session_id: str, tool: str) -> str:
        _, result = await self._call("tools/call", {"name": tool, "arguments": {}}, session_id)
        text = _first_text(result, tool)
        failed = result.find("isError")
        if failed is not None and failed.value is not False:
            # The text may quote the user, so it decides but is not passed on.
            if "not allowed" in text:
                raise PermissionRefused(f"{self._platform} does not allow this user {tool}")
            raise PlatformUnavailable(f"{self._platform} reports that {tool} failed")
        return text

    async def _call(
        self, method: str, params: Mapping[str, object], session_id: str | None
    ) -> tuple[Reply, Node]:
        request_id = random.getrandbits(31)
        message = {"id": request_id, "method": method, "params": params}
        place = str(params["name"]) if method == "tools/call" else method
        stream = EventStream(request_id)
        reply = await self._send(place, message, session_id, stream)
        if reply.content_type() == "text/event-stream":
            if stream.reply is None:
                raise PlatformDataError(f"{place}: expected a reply in the event stream")
            document = Node(stream.reply, place)
        else:
            document = parse(reply.body, place)
        if (error := document.find("error")) is not None:
            code = error.get("code").integer()
            if code == _INTERNAL_ERROR:
                raise PlatformUnavailable(f"{self._platform} reports an internal error")
            raise PlatformDataError(f"{place}: {self._platform} refuses the call ({code})")
        if document.get("id").value != request_id:
            raise document.bad("the reply to this request")
        return reply, document.get("result")

    async def _send(
        self,
        call: str,
        message: Mapping[str, object],
        session_id: str | None,
        stream: EventStream | None = None,
    ) -> Reply:
        reply = await self._wire.send(
            "POST",
            self._url,
            call=call,
            headers=_headers(session_id),
            content=json.dumps({"jsonrpc": "2.0", **message}).encode(),
            enough=stream.feed if stream else lambda chunk: False,
        )
        reply.raise_for_unavailable(self._platform)
        if 200 <= reply.status < 300:
            return reply
        # The dev server says 400 to an id it does not like, the specification 404 to one that is
        # over.
        gone = reply.status in {401, 404} or (reply.status == 400 and not _is_our_mistake(reply))
        if session_id is not None and gone:
            raise SessionEnded(f"{self._platform} does not know the session")
        if reply.status == 403:
            raise PermissionRefused(f"{self._platform} does not allow this call")
        raise PlatformDataError(f"{self._platform} returned {reply.status}")


class EventStream:
    """Finds the reply to one request in a stream of server-sent events."""

    def __init__(self, request_id: int) -> None:
        self.reply: object = None
        self._request_id = request_id
        self._rest = bytearray()
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; True once the reply is complete."""
        self._rest += chunk
        if b"\n" not in chunk and b"\r" not in chunk:
            return False  # in the middle of a long line: nothing to look for yet
        # A CR at the end may be half of a line end: it waits for what follows.
        *lines, rest = re.split(rb"\r\n|\n|\r(?!\Z)", bytes(self._rest))
        self._rest = bytearray(rest)
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line:
                self._finish_event()
        return self.reply is not None

    def _finish_event(self) -> None:
        data, self._data = b"\n".join(self._data), []
        if not data or self.reply is not None:
            return
        message = parse(data, "event stream").value
        # Notifications and other messages of the server may come before the reply.
        if isinstance(message, dict) and message.get("id") == self._request_id:
            self.reply = message


def _is_our_mistake(reply: Reply) -> bool:
    """Whether a 400 is about the message and not about the session."""
    try:
        error = parse(reply.body, "error").find("error")
        return error is not None and error.get("code").value in _OUR_MISTAKES
    except PlatformDataError:
        return False


def _headers(session_id: str | None) -> dict[str, str]:
    # The dev server wants exactly this content type: no charset.
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    if session_id is not None:
        headers["Mcp-Session-Id"] = session_id
        headers["MCP-Protocol-Version"] = PROTOCOL_VERSION
    return headers


def _first_text(result: Node, tool: str) -> str:
    for part in result.get("content").each():
        if part.get("type").value == "text":
            return part.get("text").text()
    raise PlatformDataError(f"{tool}: expected a text")
