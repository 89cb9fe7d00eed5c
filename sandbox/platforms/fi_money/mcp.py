"""MCP over streamable HTTP: what the dev server accepts and how it replies."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import (
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from sandbox.platforms.fi_money.rpc import PARSE_ERROR, Rpc, RpcError
from sandbox.platforms.fi_money.sessions import Logins, is_session_id, new_session_id

SESSION_HEADER = "Mcp-Session-Id"
# Given as a header because as a media type it would get a charset.
EVENT_STREAM = {"Content-Type": "text/event-stream"}
ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class McpTransport:
    """`sse` replies to requests with event streams; `stopping` ends the silent listening ones."""

    def __init__(self, rpc: Rpc, logins: Logins, sse: bool, stopping: asyncio.Event) -> None:
        self._rpc = rpc
        self._logins = logins
        self._sse = sse
        self._stopping = stopping

    def routes(self) -> list[Route]:
        return [
            Route("/mcp", self.redirect, methods=ALL_METHODS),
            Route("/mcp/{path:path}", self.handle, methods=ALL_METHODS),
        ]

    async def redirect(self, _: Request) -> Response:
        return RedirectResponse("/mcp/", status_code=301)

    async def handle(self, request: Request) -> Response:
        match request.method:
            case "POST":
                return await self._post(request)
            case "GET":
                return StreamingResponse(self._silence(), headers=EVENT_STREAM)
            case "DELETE":
                return Response()
            case _:
                return PlainTextResponse("404 page not found\n", 404)

    async def _post(self, request: Request) -> Response:
        # Even a charset suffix is refused (Fi MCP dev server behaviour).
        if request.headers.get("Content-Type") != "application/json":
            return PlainTextResponse("Invalid content type: must be 'application/json'\n", 400)
        try:
            message = json.loads(await request.body())
        except ValueError:
            message = None
        if not isinstance(message, dict):
            error = {"code": PARSE_ERROR, "message": "request body is not valid json"}
            return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, 400)
        headers = {}
        if message.get("method") == "initialize":
            # A fresh session each time, whatever id was sent along.
            session_id = new_session_id()
            headers[SESSION_HEADER] = session_id
        else:
            session_id = request.headers.get(SESSION_HEADER, "")
            if not is_session_id(session_id):
                return PlainTextResponse("Invalid session ID\n", 400)
            if self._logins.is_terminated(session_id):
                return PlainTextResponse("Session terminated\n", 404)
        if message.get("id") is None:
            return Response(status_code=202)
        return self._reply(self._result(message, session_id, request), headers)

    def _result(self, message: dict[str, Any], session_id: str, request: Request) -> dict[str, Any]:
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        try:
            reply["result"] = self._rpc.call(message, session_id, str(request.base_url))
        except RpcError as error:
            reply["error"] = {"code": error.code, "message": error.message}
        return reply

    def _reply(self, message: dict[str, Any], headers: dict[str, str]) -> Response:
        if self._sse:
            event = f"event: message\ndata: {json.dumps(message)}\n\n"
            return Response(event, headers=headers | EVENT_STREAM)
        return JSONResponse(message, headers=headers)

    async def _silence(self) -> AsyncIterator[bytes]:
        """An open stream on which the server never speaks; it ends when the server stops."""
        await self._stopping.wait()
        yield b""
