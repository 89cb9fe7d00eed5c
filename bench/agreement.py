"""Whether all contestants give the same answers: nobody is fast by answering less."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bench.cases import FINLINK
from bench.data import PREFIX
from bench.stacks import Stack

# `nextPageToken` is Finlink's own; `sessionDuration` changes by the minute.
_LEFT_OUT = frozenset({"nextPageToken", "sessionDuration"})
PATHS = (
    f"/api/v1/users/{PREFIX}0",
    f"/api/v1/users/{PREFIX}7",
    f"/api/v1/connectors/user/{PREFIX}0",
    f"/api/v1/connectors/user/{PREFIX}7",
    "/api/v1/users?page=2&limit=3",
    "/api/v1/connectors/status",
    f"/api/v1/users/{PREFIX}nobody",
)


class Disagreement(Exception):
    """A contestant answers otherwise than Finlink; the message shows both."""


def check(stacks: Mapping[str, Stack]) -> None:
    """Ask each for the same. Raises Disagreement."""
    for path in PATHS:
        wanted = _answer(stacks[FINLINK], path)
        for name, stack in stacks.items():
            if stack.rest_port is not None and (found := _answer(stack, path)) != wanted:
                raise Disagreement(
                    f"{name} answers GET {path} otherwise than Finlink:\n{found}\n{wanted}"
                )


def _answer(stack: Stack, path: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", stack.rest_port or 0, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = json.loads(answer.read())
    finally:
        connection.close()
    if answer.status >= 400:
        return answer.status, body["error"]["code"]
    return answer.status, plain(body)


def plain(value: Any) -> Any:
    """A value without what is empty, times as times, so that only what is said counts."""
    if isinstance(value, dict):
        kept = {name: plain(item) for name, item in value.items() if name not in _LEFT_OUT}
        return {name: item for name, item in kept.items() if item not in (None, [], {})}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str) and value[10:11] == "T":
        return datetime.fromisoformat(value).astimezone(UTC)
    return value
