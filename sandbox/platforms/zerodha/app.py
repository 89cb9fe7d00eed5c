"""The Kite port as one application."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from sandbox.platforms.zerodha.data import KiteData
from sandbox.platforms.zerodha.login import LoginPages
from sandbox.platforms.zerodha.replies import (
    KiteError,
    reply_to_crash,
    reply_to_http_error,
    reply_to_kite_error,
)
from sandbox.platforms.zerodha.routes import KiteApi
from sandbox.platforms.zerodha.sessions import Sessions


def build_kite_app(
    sessions: Sessions, data: KiteData, redirect_url: str | None = None
) -> Starlette:
    """Redirect URL: where a login ends; without one, on a page of the sandbox itself."""
    app = Starlette(
        routes=[*LoginPages(sessions, redirect_url).routes(), *KiteApi(sessions, data).routes()],
        exception_handlers={
            KiteError: reply_to_kite_error,
            HTTPException: reply_to_http_error,
            Exception: reply_to_crash,
        },
    )
    app.router.redirect_slashes = False
    return app
