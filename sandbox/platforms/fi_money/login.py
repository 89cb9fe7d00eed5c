"""The login page of the Fi sandbox. It sends nobody back: callers poll a tool instead."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox.pages import hidden, page, refusal, text_field
from sandbox.platforms.fi_money.sessions import Logins

REFUSED_PASSCODE = "wrong"


class LoginPages:
    def __init__(self, logins: Logins) -> None:
        self._logins = logins

    def routes(self) -> list[Route]:
        return [
            Route("/mockWebPage", self.show, methods=["GET"]),
            Route("/login", self.submit, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        session_id = request.query_params.get("sessionId", "")
        if not session_id:
            return PlainTextResponse("sessionId is required\n", 400)
        return page(
            "Fi sandbox login",
            '<form method="post" action="/login">'
            + hidden("sessionId", session_id)
            + text_field("Phone number", "phoneNumber")
            + text_field("Passcode", "otp", "password")
            + "<p><button>Log in</button></p></form>"
            f"<p>Any phone number will do; the passcode “{REFUSED_PASSCODE}” is refused.</p>",
        )

    async def submit(self, request: Request) -> Response:
        async with request.form() as form:
            session_id = str(form.get("sessionId", ""))
            phone = str(form.get("phoneNumber", "")).strip()
            passcode = str(form.get("otp", ""))
        if not session_id or not phone:
            return PlainTextResponse("sessionId and phoneNumber are required\n", 400)
        if passcode == REFUSED_PASSCODE:
            return refuse_passcode()
        self._logins.log_in(session_id, phone)
        return page("Logged in", "<p>You may close this page and go back to your app.</p>")


def refuse_passcode() -> Response:
    return refusal("The passcode is not right.", 403)
