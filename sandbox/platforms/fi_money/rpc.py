"""The MCP methods behind the transport: one JSON-RPC request in, one result out."""

import json
from typing import Any

from sandbox.platforms.fi_money.data import TOOLS, FiData
from sandbox.platforms.fi_money.sessions import Logins

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602

NEWEST_PROTOCOL = "2025-03-26"
PROTOCOLS = {"2024-11-05", NEWEST_PROTOCOL}

# Accepted at login as any other, then refused by every tool (Fi MCP dev server behaviour).
PHONE_NOT_ALLOWED = "0000000000"


class RpcError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Rpc:
    def __init__(self, logins: Logins, data: FiData) -> None:
        self._logins = logins
        self._data = data

    def call(self, message: dict[str, Any], session_id: str, base_url: str) -> dict[str, Any]:
        """The result of a request; `base_url` is how the caller reached us."""
        if message.get("jsonrpc") != "2.0":
            raise RpcError(INVALID_REQUEST, "Invalid JSON-RPC version")
        params = message.get("params") or {}
        if not isinstance(params, dict):
            raise RpcError(INVALID_REQUEST, "params must be an object")
        match message.get("method"):
            case "initialize":
                return self._initialize(params)
            case "ping":
                return {}
            case "tools/list":
                return {"tools": [_tool(*tool) for tool in TOOLS.items()]}
            case "tools/call":
                return self._call_tool(params, session_id, base_url)
            case method:
                raise RpcError(METHOD_NOT_FOUND, f"Method {method} not found")

    def _initialize(self, params: dict[str, Any]) -> dict[str, Any]:
        offered = params.get("protocolVersion")
        return {
            "protocolVersion": offered if offered in PROTOCOLS else NEWEST_PROTOCOL,
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "Fi sandbox", "version": "0.1.0"},
        }

    def _call_tool(self, params: dict[str, Any], session_id: str, base_url: str) -> dict[str, Any]:
        tool = params.get("name")
        if not isinstance(tool, str) or tool not in TOOLS:
            raise RpcError(INVALID_PARAMS, f"tool '{tool}' not found: tool not found")
        phone = self._logins.phone_of(session_id)
        if phone is None:
            return _text(_login_required(f"{base_url}mockWebPage?sessionId={session_id}"))
        if phone == PHONE_NOT_ALLOWED:
            return {**_text("phone number is not allowed"), "isError": True}
        return _text(self._data.read(tool, phone))


def _tool(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": description,
        "inputSchema": {"type": "object", "properties": {}},
    }


def _text(text: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}]}


def _login_required(login_url: str) -> str:
    """A missing login is an ordinary result, not an error (Fi MCP dev server behaviour)."""
    return json.dumps(
        {
            "status": "login_required",
            "login_url": login_url,
            "message": "Log in at the address first, then ask again.",
        }
    )
