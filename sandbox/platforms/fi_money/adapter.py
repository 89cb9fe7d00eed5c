"""Fi Money as the control API sees it."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sandbox.control.calls import OTHER, Call, dumps
from sandbox.platforms.fi_money.data import TOOLS
from sandbox.platforms.fi_money.login import refuse_passcode
from sandbox.platforms.fi_money.mcp import SESSION_HEADER
from sandbox.platforms.fi_money.sessions import Logins

LISTENING = "GET /mcp"
_EVENT = b"event: message\ndata: "
_RPC_METHODS = frozenset({"initialize", "notifications/initialized", "ping", "tools/list"})


class FiMoneyAdapter:
    name = "fi_money"
    login_call = "POST /login"
    data_calls = frozenset(TOOLS)
    holding_calls = frozenset({"fetch_net_worth"})
    calls = data_calls | _RPC_METHODS | {"DELETE /mcp", "/mockWebPage", login_call}

    def __init__(self, logins: Logins) -> None:
        self._logins = logins

    def normal_login(self, login: str) -> str:
        return login.strip()

    def describe(self, request: Request, body: bytes) -> Call:
        name = _name(request, body)
        session_id = request.headers.get(SESSION_HEADER, "")
        login = None
        if name == self.login_call:
            fields = dict(parse_qsl(body.decode("utf-8", "replace")))
            login = self.normal_login(fields.get("phoneNumber", "")) or None
        return Call(
            platform=self.name,
            name=name,
            login=login or self._logins.owner_of(session_id),
            session_key=session_id if name in self.data_calls else None,
            listens=name == LISTENING,
        )

    def end_sessions(self, login: str | None, *, revoke: bool) -> None:
        self._logins.end_all(login, revoke=revoke)

    def failure(self, status: int) -> Response:
        """Plain text, as the dev server's other HTTP errors are."""
        return PlainTextResponse(f"{_phrase(status)}\n", status)

    def wrong_password(self) -> Response:
        return refuse_passcode()

    def refusal(self, status: int, body: bytes) -> str | None:
        message = _message(body) if status == 200 else None
        if message is None:
            return None
        if "error" in message:
            return "error"
        text = _text(message)
        if text is None:
            return None
        if message["result"].get("isError"):
            return "isError"
        return "login_required" if _wants_login(_parsed(text)) else None

    def edit(self, body: bytes, change: Callable[[Any], Any]) -> bytes:
        message = _message(body)
        text = None if message is None else _text(message)
        if message is None or text is None or message["result"].get("isError"):
            return body
        document = _parsed(text)
        if document is None or _wants_login(document):
            return body
        message["result"]["content"][0]["text"] = json.dumps(change(document))
        if body.startswith(_EVENT):
            return _EVENT + json.dumps(message).encode() + b"\n\n"
        return dumps(message).encode()

    def wrong_shape(self, call: str) -> Callable[[Any], Any]:
        """A credit report, as one dev user's net worth is, or else an empty net worth."""
        if call == "fetch_credit_report":
            return lambda _: {"netWorthResponse": {}}
        return lambda _: {"creditReports": [{"creditReportData": {}, "vendor": "EXPERIAN"}]}


def _name(request: Request, body: bytes) -> str:
    path, method = request.url.path, request.method
    if path == "/mcp" or path.startswith("/mcp/"):
        return _rpc_name(body) if method == "POST" else _known(f"{method} /mcp")
    return _known(path if method == "GET" else f"{method} {path}")


def _rpc_name(body: bytes) -> str:
    message = _parsed(body)
    if not isinstance(message, dict):
        return OTHER
    name = message.get("method")
    if name == "tools/call":
        params = message.get("params")
        name = params.get("name") if isinstance(params, dict) else None
    return _known(name)


def _known(name: object) -> str:
    """Names from outside are not passed on."""
    known = isinstance(name, str) and (name in FiMoneyAdapter.calls or name == LISTENING)
    return str(name) if known else OTHER


def _message(body: bytes) -> dict[str, Any] | None:
    """The JSON-RPC reply in a body, whether plain or as an event."""
    message = _parsed(body.removeprefix(_EVENT))
    return message if isinstance(message, dict) else None


def _text(message: dict[str, Any]) -> str | None:
    content = message.get("result", {}).get("content")
    return content[0]["text"] if content else None


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _wants_login(document: Any) -> bool:
    return isinstance(document, dict) and document.get("status") == "login_required"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Server Error"
