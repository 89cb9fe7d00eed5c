"""A call as the control API knows it, and what a platform has to offer to be controlled."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response

EVERY_LOGIN = "*"
EVERY_CALL = "*"
# A request that is no call of the platform, such as one to an unknown path.
OTHER = "other"


@dataclass(frozen=True)
class Call:
    """`name`: a tool or an RPC method; else the path, with the method before it unless GET."""

    platform: str
    name: str
    login: str | None
    api_key: str | None = None
    # Calls with one key share one allowance a second.
    rate_key: str | None = None
    # Calls with one key ought to come one after another. It may be a secret: never show it.
    session_key: str | None = field(default=None, repr=False)
    # An endless stream, which is logged and otherwise left alone.
    listens: bool = False


class PlatformAdapter(Protocol):
    """A platform as the control API sees it."""

    name: str
    calls: frozenset[str]
    data_calls: frozenset[str]
    # The data calls that list holdings, where a sold holding is missing.
    holding_calls: frozenset[str]
    login_call: str

    def normal_login(self, login: str) -> str:
        """A login as the platform itself spells it."""

    def describe(self, request: Request, body: bytes) -> Call: ...

    def end_sessions(self, login: str | None, *, revoke: bool) -> None:
        """End the sessions of a login, or all. Revoked ones cannot be renewed either."""

    def failure(self, status: int) -> Response:
        """A 429 or 5xx in the platform's shape."""

    def wrong_password(self) -> Response: ...

    def refusal(self, status: int, body: bytes) -> str | None:
        """The platform's name for what a reply says instead of data."""

    def edit(self, body: bytes, change: Callable[[Any], Any]) -> bytes:
        """The body with its document changed; a body without a document stays."""

    def wrong_shape(self, call: str) -> Callable[[Any], Any]:
        """A change that puts another call's document in place of this one's."""


def dumps(document: Any) -> str:
    """JSON as Starlette writes it."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
