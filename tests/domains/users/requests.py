"""Requests of the users domain that succeed, and what they change."""

from __future__ import annotations

from typing import Any

import httpx
from pymongo.database import Database

from server.storage.counter_spec import COUNTED_AS
from tests.domains.preparing import Prepare
from tests.e2e import connector_steps as steps
from tests.e2e.connector_steps import Documents, Json
from tests.e2e.identity_steps import bearer, with_role


async def user(rest: httpx.AsyncClient, _: Documents, user_id: str) -> Json:
    await steps.create_user(rest, user_id)
    return {"userId": user_id}


async def _by_admin(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    chief = await with_role(rest, documents, f"{user_id}_chief", "admin")
    return {**bearer(chief), **await user(rest, documents, user_id)}


async def _deleted(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    request = await _by_admin(rest, documents, user_id)
    assert (await rest.delete(f"/users/{user_id}")).is_success
    return request


async def _with_email(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    known = await user(rest, documents, user_id)
    return {**known, "email": (await rest.get(f"/users/{user_id}")).json()["data"]["email"]}


async def _new_user(_: httpx.AsyncClient, __: Documents, user_id: str) -> Json:
    return {"userId": user_id, "email": f"{user_id}@example.com"}


CHANGES: dict[str, tuple[Prepare, Json]] = {
    "CreateUser": (_new_user, {}),
    "UpdateUser": (user, {"city": "Pune"}),
    "ReplaceUser": (_with_email, {"city": "Pune"}),
    "SetUserRole": (_by_admin, {"role": "moderator"}),
    "RestoreUser": (_deleted, {}),
    "UpdateUserProfile": (user, {"city": "Pune"}),
    "UpdateUserPreferences": (user, {"currency": "USD"}),
    "UpdateUserStatus": (user, {"status": "suspended"}),
    "UpdateUserMetadata": (user, {"tags": ["vip"]}),
    "UpdateUserEmailVerified": (user, {"emailVerified": True}),
    "DeleteUser": (user, {}),
}


async def state(documents: Documents, user_id: str) -> Any:
    users = await documents["users"].find({"userId": user_id}, {COUNTED_AS: 0}).to_list(None)
    return users, await documents["users_archive"].count_documents({"userId": user_id})


def contents(database: Database[dict[str, Any]]) -> Any:
    return (
        list(database["users"].find({}, {COUNTED_AS: 0}).sort("_id")),
        list(database["users_archive"].find().sort("_id")),
    )
