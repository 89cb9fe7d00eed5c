"""Watching as callers do: server-sent events and gRPC streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

TIMEOUT = 30.0  # never reached unless something is broken


@dataclass(frozen=True)
class Sent:
    """One server-sent event; `text` is how it was written."""

    id: str | None
    name: str
    data: dict[str, Any]
    text: str


@asynccontextmanager
async def watching(
    rest: httpx.AsyncClient, user_id: str | None = None, token: str | None = None
) -> AsyncIterator[AsyncIterator[Sent]]:
    """The events of an open watch; `token` is sent as a browser does that comes back."""
    headers = {} if token is None else {"last-event-id": token}
    params = {} if user_id is None else {"userId": user_id}
    async with rest.stream("GET", "/connectors/watch", params=params, headers=headers) as reply:
        assert reply.status_code == 200, await reply.aread()
        assert reply.headers["content-type"] == "text/event-stream"
        assert reply.headers["cache-control"] == "no-store"
        yield events_of(reply.aiter_lines())


async def events_of(lines: AsyncIterator[str]) -> AsyncIterator[Sent]:
    """Server-sent events, strictly: each has one name and one line of data, and an id but for errors."""
    written: list[str] = []
    async for line in lines:
        if line:
            written.append(line)
            continue
        fields = [each.partition(": ") for each in written]
        names = [name for name, _, _ in fields]
        assert names in (["id", "event", "data"], ["event", "data"]), written
        values = {name: value for name, _, value in fields}
        yield Sent(
            values.get("id"), values["event"], json.loads(values["data"]), "\n".join(written)
        )
        written = []


async def until(events: AsyncIterator[Any], done: Callable[[Any], bool]) -> list[Any]:
    """What comes up to the first event that is wanted."""
    found: list[Any] = []
    async with asyncio.timeout(TIMEOUT):
        async for event in events:
            found.append(event)
            if done(event):
                return found
    raise AssertionError(f"the watch ended after {found[-1:]}")


def has_ended_a_run(event: Sent) -> bool:
    return "endedSync" in event.data
