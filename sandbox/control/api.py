"""The control API: JSON over HTTP, on loopback only, of a sandbox run with `--control-port`.

`{platform}` is the name of one. `{login}` is the user id or phone number given at the login page,
or `*` for all. A call is named by its tool (`fetch_net_worth`) or RPC method (`initialize`), else
by its path (`/trades`, `/orders/{order_id}`), after the method unless that is GET
(`POST /session/refresh_token`, `POST /connect/login`, `POST /login`, `DELETE /mcp`). `*` names
all. A wrong request gets 400 `{"field", "error"}`; a breakpoint that is not there, 404.

    GET    /clock    {"now", "frozen", "real"}
    PUT    /clock    {"now": "2026-01-15T05:59:00+05:30"} runs on from there, and stands still with
                     "frozen": true; or {"advance_seconds": 60}; or {"real": true}
    GET    /accounts/{platform}/{login}/faults    [rule with its "applied" and "waiting", ...]
    PUT    /accounts/{platform}/{login}/faults    [rule, ...] in place of the earlier ones
    DELETE /accounts/{platform}/{login}/faults    lets calls go that hang
    GET    /accounts/{platform}/{login}/data      {"without": [ISIN or symbol, ...]}
    PUT    /accounts/{platform}/{login}/data      the same: such holdings are sold; {} restores
    GET    /breakpoints    {name: breakpoint, ...}
    PUT    /breakpoints/{name}    {"platform", "login": "*", "call": data calls, "at": "arrival", "times"}
    GET    /breakpoints/{name}    the breakpoint with its "caught" and "waiting"
    DELETE /breakpoints/{name}    {"released"}: all of its calls go on
    GET    /limits   the same as
    PUT    /limits   {platform: {"per_second": 10, "concurrent_per_session": 1}, ...}; {} turns off
    GET    /calls    ?platform=&login=&api_key=&call= &after=&limit= : {"counts": {call: n},
                     "statuses": {call: {status: n}}, "calls": [...], "discarded", "limits"}
    DELETE /calls    forgets all calls
    POST   /reset    puts everything above back as at the start; sessions stay

A rule is {"kind"} and may have "calls" (a name or a list; all data calls unless given), "times"
(how many calls it is applied to), "after" (how many it first passes over) and "probability"
(drawn from the seed of the sandbox). A rule for `*` counts each login by itself. Rules are tried
in order, those of the login before those for `*`; the first that applies decides, and `slow` lets
the next ones apply as well. Kinds:

    expired         The login's sessions end: at once, where the rule is nothing but its kind, else
                    at each call it applies to. New logins work, and on Kite refresh tokens too.
    revoked         The same, and refresh tokens die as well; Fi forgets the session (404).
    wrong_password  A login is refused.
    throttled       429, with "retry_after" in seconds if given.
    unavailable     5xx: "status" (503), "retry_after".
    not_json        An HTML page: "status" (200).
    hang            No reply until the rules are replaced or deleted. "at": "reply" hangs after
                    the platform has done its part, rather than on "arrival".
    drop            The connection is closed without a reply. "at" as above.
    partial         The document with the first part of its rows: "keep" (0.5), rounded up.
    duplicate_rows  Every other row comes twice.
    wrong_shape     Another call's document.
    slow            "ms" milliseconds later.

Breakpoints work likewise: one "at" "reply" keeps replies of calls that have had their effect. Calls
whose caller leaves wait no longer, and never had an effect if they were stopped on arrival.

`per_second` refuses with 429 what is over it within any one second, for each api_key;
`concurrent_per_session` only counts. In GET /calls, "limits" reports both for each platform,
whether set or not: {"busiest_second": {api_key: n}, "refused", "most_at_once",
"concurrent_violations"}. An entry of "calls" is logged as the call arrives and completed at its
end: {"id", "at" (the sandbox's clock), "real_at" and "real_end" (ms since 1970, steady),
"platform", "api_key", "login", "call", "request_id" (the caller's x-request-id), "status",
"refusal" (error_type or login_required),
"outcome" (replied, dropped, left, crashed, or null while under way), "done" (whether the platform
did its part, replied or not), "faults"}. The newest 100,000 are kept and "discarded" counts the
others; "after" an id, the next "limit" are given.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.control.breakpoints import Breakpoint
from sandbox.control.calls import EVERY_LOGIN, PlatformAdapter
from sandbox.control.journal import KEPT, Filter
from sandbox.control.rules import (
    BREAKPOINT,
    CLOCK,
    DATA,
    LIMITS,
    RULES,
    BadRequestError,
    known_calls,
    parse,
)
from sandbox.control.state import Control


def build_control_app(control: Control, platforms: list[PlatformAdapter]) -> Starlette:
    return Starlette(
        routes=ControlApi(control, platforms).routes(),
        exception_handlers={BadRequestError: _bad_request, HTTPException: _http_error},
    )


class ControlApi:
    def __init__(self, control: Control, platforms: list[PlatformAdapter]) -> None:
        self._control = control
        self._platforms = {platform.name: platform for platform in platforms}

    def routes(self) -> list[Route]:
        account = "/accounts/{platform}/{login}"
        return [
            _route("GET", "/clock", self.show_clock),
            _route("PUT", "/clock", self.turn_clock),
            _route("GET", f"{account}/faults", self.show_faults),
            _route("PUT", f"{account}/faults", self.put_faults),
            _route("DELETE", f"{account}/faults", self.clear_faults),
            _route("GET", f"{account}/data", self.show_data),
            _route("PUT", f"{account}/data", self.put_data),
            _route("GET", "/breakpoints", self.show_breakpoints),
            _route("GET", "/breakpoints/{name}", self.show_breakpoint),
            _route("PUT", "/breakpoints/{name}", self.put_breakpoint),
            _route("DELETE", "/breakpoints/{name}", self.release_breakpoint),
            _route("GET", "/limits", self.show_limits),
            _route("PUT", "/limits", self.put_limits),
            _route("GET", "/calls", self.show_calls),
            _route("DELETE", "/calls", self.forget_calls),
            _route("POST", "/reset", self.reset),
        ]

    async def show_clock(self, _: Request) -> Response:
        clock = self._control.clock
        return JSONResponse(
            {"now": clock.now().isoformat(), "frozen": clock.frozen, "real": clock.real}
        )

    async def turn_clock(self, request: Request) -> Response:
        body = parse(CLOCK, await request.body())
        clock = self._control.clock
        try:
            if body.now is not None:
                clock.turn(body.now, frozen=body.frozen)
            elif body.advance_seconds is not None:
                clock.advance(timedelta(seconds=body.advance_seconds))
            else:
                clock.be_real()
        except (ValueError, OverflowError):
            field = "now" if body.now is not None else "advance_seconds"
            raise BadRequestError(field, "leaves the years 2000 to 2099") from None
        return await self.show_clock(request)

    async def show_faults(self, request: Request) -> Response:
        platform, login = self._account(request)
        return JSONResponse(self._control.faults.states(platform.name, login))

    async def put_faults(self, request: Request) -> Response:
        platform, login = self._account(request)
        rules = parse(RULES, await request.body())
        self._control.faults.put(platform, login, rules)
        return JSONResponse(self._control.faults.states(platform.name, login))

    async def clear_faults(self, request: Request) -> Response:
        platform, login = self._account(request)
        self._control.faults.clear(platform.name, login)
        return JSONResponse([])

    async def show_data(self, request: Request) -> Response:
        platform, login = self._account(request)
        return JSONResponse({"without": sorted(self._control.sold.at(platform.name, login))})

    async def put_data(self, request: Request) -> Response:
        platform, login = self._account(request)
        body = parse(DATA, await request.body())
        self._control.sold.put(platform.name, login, frozenset(body.without))
        return await self.show_data(request)

    async def show_breakpoints(self, _: Request) -> Response:
        return JSONResponse(self._control.breakpoints.states())

    async def show_breakpoint(self, request: Request) -> Response:
        return JSONResponse(self._control.breakpoints.state(self._breakpoint_name(request)))

    async def put_breakpoint(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name in self._control.breakpoints:
            raise BadRequestError("name", f"{name!r} is a breakpoint already")
        body = parse(BREAKPOINT, await request.body())
        platform = self._platform(body.platform)
        calls = known_calls(body.call, platform, "call")
        login = _login(platform, body.login)
        self._control.breakpoints.put(
            name, Breakpoint(platform.name, login, calls, body.at, body.times)
        )
        return JSONResponse(self._control.breakpoints.state(name))

    async def release_breakpoint(self, request: Request) -> Response:
        return JSONResponse(
            {"released": self._control.breakpoints.release(self._breakpoint_name(request))}
        )

    async def show_limits(self, _: Request) -> Response:
        limits = self._control.limits
        return JSONResponse({name: limits.of(name).model_dump() for name in self._platforms})

    async def put_limits(self, request: Request) -> Response:
        settings = parse(LIMITS, await request.body())
        for name in settings:
            self._platform(name)
        self._control.limits.settings = settings
        return await self.show_limits(request)

    async def show_calls(self, request: Request) -> Response:
        query = dict(request.query_params)
        after, limit = _number(query, "after", 0), _number(query, "limit", KEPT)
        unknown = query.keys() - {"platform", "login", "api_key", "call"}
        if unknown:
            raise BadRequestError(min(unknown), "is no filter of calls")
        login = query.get("login")
        if "platform" in query:
            platform = self._platform(query["platform"])
            login = None if login is None else platform.normal_login(login)
        wanted = Filter(query.get("platform"), login, query.get("api_key"), query.get("call"))
        report = self._control.journal.report(wanted, after, limit)
        limits = {name: self._control.limits.report(name) for name in self._platforms}
        return JSONResponse({**report, "limits": limits})

    async def forget_calls(self, _: Request) -> Response:
        self._control.reset_counts()
        return JSONResponse({})

    async def reset(self, _: Request) -> Response:
        self._control.reset()
        return JSONResponse({})

    def _account(self, request: Request) -> tuple[PlatformAdapter, str]:
        platform = self._platform(request.path_params["platform"])
        return platform, _login(platform, request.path_params["login"])

    def _platform(self, name: str) -> PlatformAdapter:
        if name not in self._platforms:
            known = ", ".join(sorted(self._platforms))
            raise BadRequestError("platform", f"{name!r} is none of {known}")
        return self._platforms[name]

    def _breakpoint_name(self, request: Request) -> str:
        name: str = request.path_params["name"]
        if name not in self._control.breakpoints:
            raise HTTPException(404, f"there is no breakpoint {name!r}")
        return name


def _route(method: str, path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
    return Route(path, endpoint, methods=[method])


def _login(platform: PlatformAdapter, login: str) -> str:
    normal = login if login == EVERY_LOGIN else platform.normal_login(login)
    if not normal:
        raise BadRequestError("login", "is empty")
    return normal


def _number(query: dict[str, str], name: str, default: int) -> int:
    text = query.pop(name, str(default))
    if not text.isdecimal():
        raise BadRequestError(name, "is no number")
    return int(text)


async def _bad_request(_: Request, error: Exception) -> Response:
    bad = cast(BadRequestError, error)
    return JSONResponse({"field": bad.field, "error": f"{bad.field}: {bad.message}"}, 400)


async def _http_error(_: Request, error: Exception) -> Response:
    http_error = cast(HTTPException, error)
    return JSONResponse({"field": None, "error": http_error.detail}, http_error.status_code)
