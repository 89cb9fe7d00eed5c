"""Zerodha as the control API sees it."""

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from sandbox.control.calls import OTHER, Call, dumps
from sandbox.platforms.zerodha.login import refuse_password
from sandbox.platforms.zerodha.replies import KiteError, failure
from sandbox.platforms.zerodha.sessions import Sessions

# Pages for people, on a host of their own at the real platform.
_PAGES = "/connect/"
_READS = ("GET", "HEAD")


class ZerodhaAdapter:
    name = "zerodha"
    login_call = "POST /connect/login"
    holding_calls = frozenset({"/portfolio/holdings", "/portfolio/positions", "/mf/holdings"})

    def __init__(self, sessions: Sessions, routes: Sequence[BaseRoute]) -> None:
        self._sessions = sessions
        self._routes = [route for route in routes if isinstance(route, Route)]
        self.calls = frozenset(
            _name(route, method)
            for route in self._routes
            for method in route.methods or ()
            if method != "HEAD"
        )
        self.data_calls = frozenset(
            call for call in self.calls if call.startswith("/") and not call.startswith(_PAGES)
        )

    def normal_login(self, login: str) -> str:
        return login.strip().upper()

    def describe(self, request: Request, body: bytes) -> Call:
        name = self._call_name(request)
        fields = dict(request.query_params)
        if request.method == "POST":
            fields |= parse_qsl(body.decode("utf-8", "replace"))
        credentials = request.headers.get("Authorization", "").removeprefix("token ")
        api_key, _, token = credentials.partition(":")
        for field in ("request_token", "refresh_token", "access_token"):
            token = fields.get(field) or token
        api_key = fields.get("api_key") or api_key
        if name == self.login_call:
            login = self.normal_login(fields.get("user_id", "")) or None
        else:
            login = self._sessions.owner_of(token)
        return Call(
            platform=self.name,
            name=name,
            login=login,
            api_key=api_key or None,
            rate_key=None if _PAGES in name else api_key or None,
        )

    def end_sessions(self, login: str | None, *, revoke: bool) -> None:
        self._sessions.end_all(login, revoke=revoke)

    def failure(self, status: int) -> Response:
        """Error types by status, as forum staff and the official client describe them."""
        match status:
            case 429:
                return failure(KiteError(429, "NetworkException", "Too many requests"))
            case 502 | 503 | 504:
                message = "Couldn't reach the order system."
                return failure(KiteError(status, "NetworkException", message))
            case _:
                return failure(KiteError(status, "GeneralException", "Something went wrong"))

    def wrong_password(self) -> Response:
        return refuse_password()

    def refusal(self, status: int, body: bytes) -> str | None:
        document = _document(body) if status >= 400 else None
        error_type = document.get("error_type") if document else None
        return error_type if isinstance(error_type, str) else None

    def edit(self, body: bytes, change: Callable[[Any], Any]) -> bytes:
        document = _document(body)
        if document is None or document.get("status") != "success":
            return body
        return dumps({**document, "data": change(document["data"])}).encode()

    def wrong_shape(self, _: str) -> Callable[[Any], Any]:
        """Lists come in the shape of positions, objects as a list."""
        return lambda data: {"net": [], "day": []} if isinstance(data, list) else []

    def _call_name(self, request: Request) -> str:
        for route in self._routes:
            if route.matches(request.scope)[0] is Match.FULL:
                return _name(route, request.method)
        return OTHER


def _name(route: Route, method: str) -> str:
    return route.path if method in _READS else f"{method} {route.path}"


def _document(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
