"""Accounts at a sandbox with a control API, for tests that turn its faults."""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.sandbox.driver import API_KEY, API_SECRET, FiSession, Running, kite_request_token

PLATFORM_KEY = "platform_key"
APPROVED = f"zerodha.approved={PLATFORM_KEY}"  # it gets refresh tokens
# What does not happen within so many seconds never will.
TIMEOUT = 30


class Kite:
    """One user's login on Kite."""

    def __init__(self, client: httpx.Client, base_url: str, user_id: str, api_key: str) -> None:
        self._client = client
        self.base_url = base_url
        self.user_id = user_id
        self.api_key = api_key
        self.session: dict[str, Any] = {}

    def log_in(self) -> None:
        token = kite_request_token(self.base_url, self.user_id, self.api_key)
        self.session = self.exchange("/session/token", "request_token", token).json()["data"]

    def renew(self) -> httpx.Response:
        token = self.session["refresh_token"]
        return self.exchange("/session/refresh_token", "refresh_token", token)

    def form(self, field: str, token: str) -> dict[str, str]:
        checksum = hashlib.sha256(f"{self.api_key}{token}{API_SECRET}".encode()).hexdigest()
        return {"api_key": self.api_key, field: token, "checksum": checksum}

    def exchange(self, path: str, field: str, token: str) -> httpx.Response:
        return self._client.post(f"{self.base_url}{path}", data=self.form(field, token))

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"token {self.api_key}:{self.session['access_token']}"}

    def get(self, path: str) -> httpx.Response:
        return self._client.get(f"{self.base_url}{path}", headers=self.authorization)

    def data(self, path: str) -> Any:
        return self.get(path).raise_for_status().json()["data"]


class Accounts:
    """The sandbox, its control API, and logins to have."""

    def __init__(self, sandbox: Running, client: httpx.Client, control: httpx.Client) -> None:
        self.sandbox = sandbox
        self.client = client
        self.control = control

    def zerodha(self, user_id: str, api_key: str = API_KEY) -> Kite:
        account = Kite(self.client, self.sandbox.zerodha, user_id, api_key)
        account.log_in()
        return account

    def fi_money(self, phone: str) -> FiSession:
        session = FiSession(self.sandbox.fi_money)
        session.log_in(phone)
        return session

    def put(self, path: str, body: Any) -> Any:
        reply = self.control.put(path, json=body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def get(self, path: str, **query: Any) -> Any:
        return self.control.get(path, params=query or None).raise_for_status().json()

    def faults(self, platform: str, login: str, *rules: dict[str, Any]) -> None:
        self.put(f"/accounts/{platform}/{login}/faults", list(rules))

    def clear_faults(self, platform: str, login: str) -> None:
        self.control.delete(f"/accounts/{platform}/{login}/faults").raise_for_status()

    def calls(self, **query: Any) -> Any:
        return self.get("/calls", **query)

    def until(self, path: str, arrived: Callable[[Any], bool]) -> None:
        """Ask again and again until the reply is as wanted."""
        deadline = time.monotonic() + TIMEOUT
        while not arrived(self.get(path)):
            assert time.monotonic() < deadline

    async def until_blocked(self, name: str, number: int = 1) -> None:
        """Until so many calls wait, while the tasks that make them go on."""
        async with httpx.AsyncClient(base_url=self.sandbox.control, timeout=TIMEOUT) as control:
            async with asyncio.timeout(TIMEOUT):
                while (await control.get(f"/breakpoints/{name}")).json()["waiting"] < number:
                    pass


@contextmanager
def accounts_at(sandbox: Running) -> Iterator[Accounts]:
    with httpx.Client() as client, httpx.Client(base_url=sandbox.control) as control:
        yield Accounts(sandbox, client, control)


def call_tool(session: FiSession, tool: str) -> httpx.Response:
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool}}
    return session.post(message)


def document(reply: httpx.Response) -> Any:
    """What a tool answered, from either kind of reply."""
    body = reply.text.partition("data: ")[2] or reply.text
    return json.loads(json.loads(body)["result"]["content"][0]["text"])


def assert_error(reply: httpx.Response, status: int, error_type: str) -> None:
    assert (reply.status_code, reply.json()["error_type"]) == (status, error_type)
