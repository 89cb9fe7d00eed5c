"""Whether all contestants give the same replies: none is fast because it returns less."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import grpc
from finlink.users.v1 import user_service_pb2_grpc
from finlink.users.v1.user_service_pb2 import GetUserRequest

from bench.cases import FINLINK
from bench.client import Client
from bench.data import PREFIX
from bench.stacks import Stack

# `nextPageToken` is Finlink's own; the others change by the reply or by the minute.
_LEFT_OUT = frozenset({"nextPageToken", "sessionDuration", "timestamp"})
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
    """A contestant's reply differs from Finlink's; the message shows both."""


def check(stacks: Mapping[str, Stack]) -> list[str]:
    """Send each the same requests; returns those that could not be compared because a reply was missing.
    Raises Disagreement."""
    without_reply = []
    for path in PATHS:
        found = {
            name: _reply(stack, path)
            for name, stack in stacks.items()
            if stack.rest_port is not None
        }
        silent = [name for name, (status, _) in found.items() if status >= 500]
        without_reply += [f"{name}  cannot reply to GET {path}: {found[name]}" for name in silent]
        for name, reply in found.items():
            if not silent and reply != found[FINLINK]:
                raise Disagreement(
                    f"{name}  replies to GET {path} differently from Finlink:\n{reply}\n{found[FINLINK]}"
                )
    return without_reply


async def check_grpc(stacks: Mapping[str, Stack]) -> None:
    """The same for GetUser. Raises Disagreement."""
    replies = {}
    for name, stack in stacks.items():
        if stack.grpc_port is not None:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{stack.grpc_port}") as channel:
                stub = user_service_pb2_grpc.UserServiceStub(channel)
                replies[name] = await stub.GetUser(GetUserRequest(user_id=f"{PREFIX}0"), timeout=30)
    for name, reply in replies.items():
        if reply != replies[FINLINK]:
            raise Disagreement(
                f"{name}  replies to GetUser differently from Finlink:\n{reply}\n{replies[FINLINK]}"
            )


def _reply(stack: Stack, path: str) -> tuple[int, Any]:
    with Client(stack.rest_port or 0) as client:
        status, body = client.call("GET", path)
    return status, body["error"]["code"] if status >= 400 else plain(body)


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
