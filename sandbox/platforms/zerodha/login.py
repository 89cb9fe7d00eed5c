"""The login page of Kite, and the page that stands in for an app's redirect URL."""

from html import escape
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.pages import hidden, page, refusal, text_field
from sandbox.platforms.zerodha.sessions import Sessions

REFUSED_PASSWORD = "wrong"  # noqa: S105
OWN_REDIRECT_PATH = "/connect/finish"


class LoginPages:
    def __init__(self, sessions: Sessions, redirect_url: str | None) -> None:
        self._sessions = sessions
        self._redirect_url = redirect_url

    def routes(self) -> list[Route]:
        return [
            Route("/connect/login", self.show, methods=["GET"]),
            Route("/connect/login", self.submit, methods=["POST"]),
            Route(OWN_REDIRECT_PATH, self.finish, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        query = request.query_params
        if query.get("v") != "3" or not query.get("api_key"):
            return refusal("The address must carry v=3 and an api_key.", 400)
        return page(
            "Kite sandbox login",
            '<form method="post" action="/connect/login">'
            + hidden("api_key", query["api_key"])
            + hidden("redirect_params", query.get("redirect_params", ""))
            + text_field("User id", "user_id")
            + text_field("Password", "password", "password")
            + "<p><button>Log in</button></p></form>"
            f"<p>Any user id will do; the password “{REFUSED_PASSWORD}” is refused.</p>",
        )

    async def submit(self, request: Request) -> Response:
        async with request.form() as form:
            fields = {name: str(value) for name, value in form.items()}
        api_key = fields.get("api_key", "")
        user_id = fields.get("user_id", "").strip().upper()
        if not (api_key and user_id and fields.get("password")):
            return refusal("User id and password are required.", 400)
        if fields["password"] == REFUSED_PASSWORD:
            return refuse_password()
        request_token = self._sessions.log_in(api_key, user_id)
        return RedirectResponse(
            with_query(
                self._redirect_url or str(request.base_url.replace(path=OWN_REDIRECT_PATH)),
                [
                    *parse_qsl(fields.get("redirect_params", ""), keep_blank_values=True),
                    ("request_token", request_token),
                    ("action", "login"),
                    ("type", "login"),
                    ("status", "success"),
                ],
            ),
            status_code=302,
        )

    async def finish(self, request: Request) -> Response:
        token = escape(request.query_params.get("request_token", ""))
        return page(
            "Logged in",
            "<p>An app's own redirect URL would take over here.</p>"
            f"<p>Request token: <code>{token}</code></p>",
        )


def refuse_password() -> Response:
    return refusal("Invalid user id or password.", 403)


def with_query(url: str, pairs: list[tuple[str, str]]) -> str:
    """Add query parameters to an address that may have some already."""
    parts = urlsplit(url)
    query = urlencode(parse_qsl(parts.query, keep_blank_values=True) + pairs)
    return urlunsplit(parts._replace(query=query))
