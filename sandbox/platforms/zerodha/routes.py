"""The REST calls of Kite Connect that open and close sessions, and those that only read."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.platforms.zerodha.data import KiteData
from sandbox.platforms.zerodha.orders import history
from sandbox.platforms.zerodha.replies import input_error, not_found, success
from sandbox.platforms.zerodha.sessions import Session, Sessions
from sandbox.platforms.zerodha.times import wire_time

# Calls that are replied to with a whole document.
READS = {
    "/user/profile": "profile",
    "/user/margins": "margins",
    "/portfolio/holdings": "holdings",
    "/portfolio/positions": "positions",
    "/trades": "trades",
    "/orders": "orders",
    "/mf/holdings": "mf_holdings",
    "/mf/orders": "mf_orders",
    "/mf/sips": "mf_sips",
}


class KiteApi:
    def __init__(self, sessions: Sessions, data: KiteData) -> None:
        self._sessions = sessions
        self._data = data

    def routes(self) -> list[Route]:
        return [
            Route("/session/token", self.open_session, methods=["POST"]),
            Route("/session/token", self.close_session, methods=["DELETE"]),
            Route("/session/refresh_token", self.renew_session, methods=["POST"]),
            *(Route(path, self._reader(call), methods=["GET"]) for path, call in READS.items()),
            Route("/user/margins/{segment}", self.margins_segment, methods=["GET"]),
            Route("/orders/{order_id}", self.order_history, methods=["GET"]),
            Route("/orders/{order_id}/trades", self.order_trades, methods=["GET"]),
            Route("/mf/orders/{order_id}", self.mf_order, methods=["GET"]),
        ]

    async def open_session(self, request: Request) -> Response:
        api_key, token, checksum = await _form(request, "api_key", "request_token", "checksum")
        session = self._sessions.exchange(api_key, token, checksum)
        return success(
            {
                **self._data.user(session.user_id),
                "api_key": api_key,
                "access_token": session.access_token,
                "public_token": "",
                "enctoken": "",
                "refresh_token": session.refresh_token,
                "silo": "",
                "login_time": wire_time(session.login_time),
            }
        )

    async def renew_session(self, request: Request) -> Response:
        api_key, token, checksum = await _form(request, "api_key", "refresh_token", "checksum")
        session = self._sessions.renew(api_key, token, checksum)
        return success(
            {
                "user_id": self._data.user(session.user_id)["user_id"],
                "access_token": session.access_token,
                "refresh_token": session.refresh_token,
            }
        )

    async def close_session(self, request: Request) -> Response:
        query = request.query_params
        api_key = query.get("api_key", "")
        if api_key and query.get("access_token"):
            self._sessions.end(api_key, query["access_token"])
        elif api_key and query.get("refresh_token"):
            self._sessions.forget_refresh_token(api_key, query["refresh_token"])
        else:
            raise input_error("Missing `api_key` or `access_token`.")
        return success(True)

    async def margins_segment(self, request: Request) -> Response:
        margins = self._read(request, "margins")
        segment = request.path_params["segment"]
        if segment not in margins:
            raise input_error("Invalid `segment`.")
        return success(margins[segment])

    async def order_history(self, request: Request) -> Response:
        return success(history(self._find(request, "orders")))

    async def order_trades(self, request: Request) -> Response:
        order_id = self._find(request, "orders")["order_id"]
        trades = self._read(request, "trades")
        return success([trade for trade in trades if trade["order_id"] == order_id])

    async def mf_order(self, request: Request) -> Response:
        return success(self._find(request, "mf_orders"))

    def _reader(self, call: str) -> Callable[[Request], Awaitable[Response]]:
        async def read(request: Request) -> Response:
            return success(self._read(request, call))

        return read

    def _read(self, request: Request, call: str) -> Any:
        return self._data.read(call, self._session(request).user_id)

    def _find(self, request: Request, call: str) -> dict[str, Any]:
        orders: list[dict[str, Any]] = self._read(request, call)
        for order in orders:
            if order["order_id"] == request.path_params["order_id"]:
                return order
        raise not_found("Couldn't find that `order_id`.")

    def _session(self, request: Request) -> Session:
        """Credentials that cannot be read are an input error; readable but dead ones are not."""
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        api_key, _, access_token = credentials.partition(":")
        if scheme != "token" or not api_key or not access_token:
            raise input_error("Invalid `api_key` or `access_token`.")
        return self._sessions.authenticate(api_key, access_token)


async def _form(request: Request, *names: str) -> list[str]:
    async with request.form() as form:
        values = [str(form.get(name, "")) for name in names]
    for name, value in zip(names, values, strict=True):
        if not value:
            raise input_error(f"Missing or empty field `{name}`.")
    return values
