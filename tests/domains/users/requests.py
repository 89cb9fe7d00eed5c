"""Requests of the users domain that succeed, and what they change."""

from __future__ import annotations

from typing import Any

import httpx
from pymongo.database import Database

from server.storage.counter_spec import COUNTED_AS
from tests.domains.preparing import Prepare
from tests.e2e import connector_steps as steps
from tests.e2e.connector_steps import Documents, Json


async def user(rest: httpx.AsyncClient, _: Documents, user_id: str) -> Json:
    await steps.create_user(rest, user_id)
    return {"userId": user_id}


async def _new_user(_: httpx.AsyncClient, __: Documents, user_id: str) -> Json:
    return {"userId": user_id, "email": f"{user_id}@example.com"}


CHANGES: dict[str, tuple[Prepare, Json]] = {
    "CreateUser": (_new_user, {}),
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
