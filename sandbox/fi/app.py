"""The Fi port as one application."""

import asyncio

from starlette.applications import Starlette

from sandbox.fi.data import FiData
from sandbox.fi.login import LoginPages
from sandbox.fi.mcp import McpTransport
from sandbox.fi.rpc import Rpc
from sandbox.fi.sessions import Logins


def build_fi_app(
    logins: Logins, data: FiData, stopping: asyncio.Event, sse: bool = False
) -> Starlette:
    transport = McpTransport(Rpc(logins, data), logins, sse, stopping)
    app = Starlette(routes=[*transport.routes(), *LoginPages(logins).routes()])
    app.router.redirect_slashes = False
    return app
