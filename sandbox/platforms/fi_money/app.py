"""The Fi port as one application."""

import asyncio

from starlette.applications import Starlette

from sandbox.platforms.fi_money.data import FiData
from sandbox.platforms.fi_money.login import LoginPages
from sandbox.platforms.fi_money.mcp import McpTransport
from sandbox.platforms.fi_money.rpc import Rpc
from sandbox.platforms.fi_money.sessions import Logins


def build_fi_app(
    logins: Logins, data: FiData, stopping: asyncio.Event, sse: bool = False
) -> Starlette:
    transport = McpTransport(Rpc(logins, data), logins, sse, stopping)
    app = Starlette(routes=[*transport.routes(), *LoginPages(logins).routes()])
    app.router.redirect_slashes = False
    return app
