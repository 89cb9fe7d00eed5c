"""Steps of tests in which users sign in."""

from __future__ import annotations

from typing import Any, TypeAlias

import httpx

from tests.e2e.connector_steps import Documents
from tests.e2e.users_errors import failed

Json: TypeAlias = dict[str, Any]
PASSWORD = "correct horse battery"


async def register(rest: httpx.AsyncClient, user_id: str, **fields: Any) -> Json:
    body = {"email": f"{user_id}@example.com", "password": PASSWORD, "userId": user_id, **fields}
    reply = await rest.post("/auth/register", json=body)
    assert reply.status_code == 201, reply.text
    return dict(reply.json()["data"])


async def login(rest: httpx.AsyncClient, user_id: str, **fields: Any) -> Json:
    """The data of a session of this user."""
    body = {"username": user_id, "password": PASSWORD, **fields}
    reply = await rest.post("/auth/login", json=body)
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["data"])


async def signed_in(rest: httpx.AsyncClient, user_id: str) -> Json:
    """A new user's session."""
    await register(rest, user_id)
    return await login(rest, user_id)


def refused(reply: httpx.Response, status: int, code: str) -> Json:
    """The error of a reply: its message, and what it says of fields."""
    failed(reply)
    error: Json = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (status, code), reply.text
    return error


def bearer(session: Json) -> dict[str, str]:
    return {"authorization": f"Bearer {session['token']}"}


async def with_role(
    rest: httpx.AsyncClient, documents: Documents, user_id: str, role: str, **fields: Any
) -> Json:
    """The session of a new user who has had a role from the beginning."""
    await register(rest, user_id)
    await documents["users"].update_one({"userId": user_id}, {"$set": {"role": role}})
    return await login(rest, user_id, **fields)
