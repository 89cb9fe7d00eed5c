"""The Finlink that is measured, and the users whose money it keeps."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from bench import stacks
from bench.client import CallFailed, Client
from bench.identity.world import KEY, SETTINGS
from bench.money import shape
from bench.money.shape import Size
from bench.session import Session
from bench.stacks import Stack

Document = dict[str, Any]


@dataclass
class World:
    up: Session
    size: Size
    stack: Stack
    marker: Document  # what is known of the data
    today: date  # of the newest transactions

    @property
    def port(self) -> int:
        return self.stack.rest_port or 0

    def client(self, user: int) -> Caller:
        """Calls for a user, as a service makes them with its key."""
        return Caller(self.port, x_api_key=KEY, x_on_behalf_of=shape.user_id(user))

    def service(self) -> Caller:
        """Calls of a service for itself."""
        return Caller(self.port, x_api_key=KEY)


class Caller(Client):
    def done(self, verb: str, path: str, body: object = None) -> Any:
        """`data` of the reply, None where it has none. Raises CallFailed where it is an error."""
        return self.timed_call(verb, path, body)[1]

    def timed_call(self, verb: str, path: str, body: object = None) -> tuple[float, Any]:
        """Milliseconds, and `data` of the reply. Raises CallFailed where it is an error."""
        began = time.perf_counter()
        status, reply = self.call(verb, path, body)
        taken = (time.perf_counter() - began) * 1000
        if not 200 <= status < 300:
            raise CallFailed(f"{verb} {path}: {status} {reply}")
        return taken, reply.get("data")


def finlink(up: Session, size: Size, sandbox: Mapping[str, str]) -> Stack:
    given = {**SETTINGS, **sandbox, "WORKERS": "2"}
    return stacks.finlink("finlink", up.uri, size.database, **given)


def accounts_of(client: Caller) -> list[str]:
    """Those in rupees, by name."""
    found = client.done("GET", "/api/v1/accounts")["accounts"]
    return [each["accountId"] for each in found if each["currency"] == "INR"]


def expense_categories(client: Caller) -> list[Document]:
    found: list[Document] = client.done("GET", "/api/v1/categories?type=expense")["categories"]
    return found
