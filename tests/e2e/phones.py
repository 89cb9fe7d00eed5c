"""Phones that get SMS of the sandbox, and those who sign in with them."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.e2e.connector_steps import Documents, Json
from tests.stack import Stack

_CODE = re.compile(r"\b[0-9]{6}\b")


def new_number() -> str:
    """A mobile number of India that nobody has."""
    return f"+9198{random.randrange(10**7):07}7"  # noqa: S311 - no secret


@asynccontextmanager
async def calling(stack: Stack, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """REST from an address that nobody else calls from: each may have SMS sent to 20 numbers."""
    address = ".".join(["127", *(str(random.randrange(1, 255)) for _ in range(3))])  # noqa: S311
    transport = httpx.AsyncHTTPTransport(local_address=address)
    url = f"{stack.rest}/api/v1"
    async with httpx.AsyncClient(
        base_url=url, transport=transport, timeout=30, **options
    ) as client:
        yield client


async def texts(stack: Stack, number: str) -> list[str]:
    """The SMS that came to a number, newest first."""
    url = f"http://127.0.0.1:{stack.ports['SANDBOX_INBOX_PORT']}/inbox.json"
    async with httpx.AsyncClient() as client:
        reply = await client.get(url, params={"to": number})
    return [each["text"] for each in reply.json()["messages"]]


async def code_of(stack: Stack, number: str, count: int = 1) -> str:
    """The newest code of a number, once so many have come."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = await texts(stack, number)
        if len(found) >= count:
            code = _CODE.search(found[0])
            assert code is not None, found
            return code[0]
        await asyncio.sleep(0.05)
    raise AssertionError(f"no {count} SMS to {number}")


async def sent(rest: httpx.AsyncClient, number: str) -> Json:
    reply = await rest.post("/auth/send-otp", json={"phoneNumber": number})
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["data"])


async def otp(stack: Stack, rest: httpx.AsyncClient, number: str, count: int = 1) -> Json:
    """A challenge and the code that came for it."""
    challenge = await sent(rest, number)
    code = await code_of(stack, number, count)
    return {"challengeId": challenge["challengeId"], "code": code}


async def signed_in_by_phone(
    stack: Stack, rest: httpx.AsyncClient, number: str, count: int = 1
) -> Json:
    body = {**await otp(stack, rest, number, count), "session": "token"}
    reply = await rest.post("/auth/verify-otp", json=body)
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["data"])


async def a_minute_later(documents: Documents) -> None:
    """Let all numbers have an SMS sent again, as time does."""
    await documents["sms_counts"].delete_many({})


async def has_number(documents: Documents, user_id: str, number: str, days: int) -> None:
    """Let a user's account have a number that was proved so many days ago."""
    proved = {"number": number, "provedAt": datetime.now(UTC) - timedelta(days=days)}
    changed = await documents["credentials"].update_one(
        {"userId": user_id}, {"$set": {"phone": proved}}
    )
    assert changed.matched_count == 1
