"""Mails that came to the sandbox."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import httpx

from tests.stack import Stack

_TOKEN = re.compile(r"#token=([A-Za-z0-9_-]+)")


async def mails(stack: Stack, to: str) -> list[dict[str, Any]]:
    """Those to an address, newest first."""
    url = f"http://127.0.0.1:{stack.ports['SANDBOX_INBOX_PORT']}/inbox.json"
    async with httpx.AsyncClient() as client:
        reply = await client.get(url, params={"to": to})
    found: list[dict[str, Any]] = reply.json()["messages"]
    return found


async def mail(stack: Stack, to: str, subject: str, count: int = 1) -> dict[str, Any]:
    """The newest of a subject, once so many have come."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = [each for each in await mails(stack, to) if each["subject"] == subject]
        if len(found) >= count:
            return found[0]
        await asyncio.sleep(0.05)
    raise AssertionError(f"no {count} mails {subject!r} to {to}")


def token_of(message: dict[str, Any]) -> str:
    found = _TOKEN.search(message["text"])
    assert found is not None, message
    return found[1]
