"""Runs the sandbox as a process and does what a person does on its login pages."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from sandbox.clock import Clock

ROOT = Path(__file__).parents[2]
API_KEY = "demo_key"
API_SECRET = "sandbox_secret"
# The options of an inbox for mails and SMS.
INBOX = ("--inbox-port", 0, "--mail-port", 0)


class SetClock(Clock):
    """A clock for tests in process: it stands still until moved."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


@dataclass(frozen=True)
class Running:
    urls: Mapping[str, str]  # by platform
    process: subprocess.Popen[str]
    control: str  # empty without a control API
    inbox: str  # the same
    mail: str  # HOST:PORT

    @property
    def zerodha(self) -> str:
        return self.urls["zerodha"]

    @property
    def fi_money(self) -> str:
        return self.urls["fi_money"]


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-m", "sandbox", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@contextmanager
def running(*arguments: object) -> Iterator[Running]:
    """A sandbox on free ports that stops cleanly and says nothing on stderr."""
    process = start("--free-ports", "--latency-ms", 0, *arguments)
    try:
        ports = _ready_line(process)["ports"]
        urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        control, inbox, mail = (urls.pop(name, "") for name in ("control", "inbox", "mail"))
        yield Running(urls, process, control, inbox, mail.removeprefix("http://"))
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")


def _ready_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    for line in process.stdout:
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "sandbox ready":
            return event
    raise AssertionError(process.communicate()[1])


def kite_request_token(base_url: str, user_id: str = "QX4821", api_key: str = API_KEY) -> str:
    reply = httpx.post(
        f"{base_url}/connect/login",
        data={"api_key": api_key, "user_id": user_id, "password": "secret"},
    )
    assert reply.status_code == 302
    return parse_qs(urlsplit(reply.headers["location"]).query)["request_token"][0]


def delivery_at(sandbox: Running) -> dict[str, str]:
    """The settings that lead a Finlink's mails and SMS to a sandbox with an inbox."""
    return {
        "SMTP_URL": f"smtp://{sandbox.mail}",
        "MAIL_FROM": "Finlink <finlink@localhost>",
        "SMS_URL": f"{sandbox.inbox}/sms",
        "SMS_TOKEN": "any",
        "SMS_FROM": "FINLNK",
    }


class FiSession:
    """One MCP session spoken by hand: plain JSON-RPC over HTTP."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        reply = self.post({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}, {})
        self.id = reply.headers["mcp-session-id"]

    def post(self, message: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        """Send a message; without headers of its own it carries the session's id."""
        return httpx.post(
            f"{self._base_url}/mcp/stream",
            json=message,
            headers={"Mcp-Session-Id": self.id} if headers is None else headers,
        )

    def request(self, method: str, params: Any = None) -> dict[str, Any]:
        reply = self.post({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
        assert reply.status_code == 200
        body: dict[str, Any] = reply.json()
        assert (body["jsonrpc"], body["id"]) == ("2.0", 7)
        return body

    def call(self, tool: str) -> dict[str, Any]:
        result: dict[str, Any] = self.request("tools/call", {"name": tool})["result"]
        return result

    def document(self, tool: str) -> dict[str, Any]:
        """What a tool answers once logged in: JSON wrapped in text, wrapped in JSON."""
        (content,) = self.call(tool)["content"]
        assert content["type"] == "text"
        document: dict[str, Any] = json.loads(content["text"])
        return document

    def log_in(self, phone: str, passcode: str = "") -> httpx.Response:
        form = {"sessionId": self.id, "phoneNumber": phone, "otp": passcode}
        return httpx.post(f"{self._base_url}/login", data=form)
