"""Steps of tests in which users come by an outside provider."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.domains.identity.external.scripted import new_key
from tests.e2e.identity_steps import Json, bearer
from tests.providers import REDIRECT, OutsideProvider

NEW = "an even better battery"
KEY = new_key("first")  # of the scripted provider, which workers remember for a minute


async def began(
    rest: httpx.AsyncClient, name: str, headers: Json | None = None, **fields: Any
) -> Json:
    body = {"redirectUri": REDIRECT, **fields}
    reply = await rest.post(f"/auth/external/{name}/start", json=body, headers=headers)
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["data"])


async def completed(
    rest: httpx.AsyncClient,
    name: str,
    begun: Json,
    answer: dict[str, str],
    headers: Json | None = None,
    **fields: Any,
) -> httpx.Response:
    """CompleteExternal with what came back, and the secret of the login unless a cookie has it."""
    secret = {"loginSecret": begun["loginSecret"]} if "loginSecret" in begun else {}
    body = {"code": answer["code"], "state": answer["state"], **secret, **fields}
    return await rest.post(f"/auth/external/{name}/complete", json=body, headers=headers)


async def came_by(
    rest: httpx.AsyncClient,
    name: str,
    provider: OutsideProvider,
    sub: str,
    claims: Json,
    headers: Json | None = None,
    **fields: Any,
) -> httpx.Response:
    """A whole login of a user at the provider, whose claims are these from then on."""
    begun = await began(rest, name, headers, **fields)
    answer = await provider.sign_in(begun["authorizationUrl"], sub, **claims)
    return await completed(rest, name, begun, answer, headers)


@asynccontextmanager
async def browser_of(rest: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """A browser at a page of Finlink's own."""
    own = {"sec-fetch-site": "same-origin"}
    async with httpx.AsyncClient(base_url=rest.base_url, headers=own, timeout=40) as client:
        yield client


def asha(new_id: str, **changes: Any) -> Json:
    return {
        "email": f"{new_id}@Example.com", "email_verified": True, "given_name": "Asha",
        "family_name": "Rao", **changes,
    }  # fmt: skip


async def me(rest: httpx.AsyncClient, session: Json) -> Json:
    reply = await rest.get("/auth/me", headers=bearer(session))
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["data"])


async def events(rest: httpx.AsyncClient, user_id: str) -> list[str]:
    reply = await rest.get("/audit-events", params={"userId": user_id, "limit": 50})
    return [each["action"] for each in reversed(reply.json()["data"]["events"])]
