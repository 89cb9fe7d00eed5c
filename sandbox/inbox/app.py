"""The port of the inbox: an SMS provider's API, and what came, as a page and as JSON.

    POST   /sms           {"to", "from", "text", "reference"} with a bearer token; 202, or 400, 401, 503
    GET    /inbox         the page
    GET    /inbox.json    {"messages": [{"at", "channel", "from", "to", "subject", "text", "reference"}, …]},
                          newest first; ?to= those to one address
    DELETE /inbox.json    forgets all

Any token is accepted. Numbers that end in 00000 are refused (400), those in 99999 get 503.
"""

import re
from html import escape

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.inbox.messages import Inbox, Received
from sandbox.pages import page

MOST_BYTES = 64 * 1024
_REFUSED, _UNAVAILABLE = "00000", "99999"
# A sentence's end is none of a link's.
_LINK = re.compile(r"https?://[^\s<>\"]*[^\s<>\".,;:!?)\]}']")


class Sms(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    to: str = Field(pattern=r"^\+[1-9][0-9]{6,14}$")
    sender: str = Field(alias="from", min_length=1, max_length=16)
    text: str = Field(min_length=1, max_length=20_000)
    reference: str = Field(min_length=1, max_length=64)


class InboxPages:
    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def routes(self) -> list[Route]:
        return [
            Route("/", self.home, methods=["GET"]),
            Route("/inbox", self.show, methods=["GET"]),
            Route("/inbox.json", self.list, methods=["GET"]),
            Route("/inbox.json", self.clear, methods=["DELETE"]),
            Route("/sms", self.receive, methods=["POST"]),
        ]

    async def home(self, _: Request) -> Response:
        return RedirectResponse("/inbox")

    async def show(self, _: Request) -> Response:
        shown = "".join(_shown(each) for each in self._inbox.newest())
        return page("Inbox", shown or "<p>Nothing has come yet.</p>")

    async def list(self, request: Request) -> Response:
        found = self._inbox.newest(request.query_params.get("to"))
        return JSONResponse({"messages": [_json(each) for each in found]})

    async def clear(self, _: Request) -> Response:
        self._inbox.clear()
        return JSONResponse({"messages": []})

    async def receive(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return _refusal(401, "a bearer token is needed")
        if int(request.headers.get("content-length", MOST_BYTES + 1)) > MOST_BYTES:
            return _refusal(413, f"at most {MOST_BYTES} bytes")
        try:
            sms = Sms.model_validate_json(await request.body())
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            return _refusal(400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
        if sms.to.endswith(_UNAVAILABLE):
            return _refusal(503, "try again later")
        if sms.to.endswith(_REFUSED):
            return _refusal(400, "to: there is no such number")
        self._inbox.add("sms", sms.sender, sms.to, sms.text, sms.reference)
        return JSONResponse({"reference": sms.reference}, 202)


def build_inbox_app(inbox: Inbox) -> Starlette:
    return Starlette(routes=InboxPages(inbox).routes())


def _refusal(status: int, error: str) -> Response:
    return JSONResponse({"error": error}, status)


def _json(message: Received) -> dict[str, str]:
    return {
        "at": message.at.isoformat(),
        "channel": message.channel,
        "from": message.sender,
        "to": message.to,
        "subject": message.subject,
        "text": message.text,
        "reference": message.reference,
    }


def _shown(message: Received) -> str:
    subject = f"<p><strong>{escape(message.subject)}</strong></p>" if message.subject else ""
    return (
        f"<hr><p>{message.at:%H:%M:%S} UTC, {message.channel} to <strong>{escape(message.to)}</strong>"
        f" from {escape(message.sender)}</p>{subject}"
        f'<pre style="white-space: pre-wrap">{_linked(message.text)}</pre>'
    )


def _linked(text: str) -> str:
    """HTML of the text, with links where it has addresses."""
    parts, end = [], 0
    for found in _LINK.finditer(text):
        url = escape(found[0])
        parts += [escape(text[end : found.start()]), f'<a href="{url}">{url}</a>']
        end = found.end()
    return "".join([*parts, escape(text[end:])])
