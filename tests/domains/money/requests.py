"""Requests of the money domain that succeed, and what they change."""

from __future__ import annotations

from typing import Any

import httpx
from bson import ObjectId
from pymongo.database import Database

from tests.domains.preparing import Prepare
from tests.e2e import connector_steps as steps
from tests.e2e.connector_steps import Documents, Json

COLLECTIONS = ("categories", "accounts")


def on_behalf(user_id: str) -> Any:
    return {"headers": {"x-on-behalf-of": user_id}}


async def _user(rest: httpx.AsyncClient, _: Documents, user_id: str) -> Json:
    await steps.create_user(rest, user_id)
    return {}


async def _category(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    await _user(rest, documents, user_id)
    made = await rest.post(
        "/categories", json={"name": "Pets", "type": "expense"}, **on_behalf(user_id)
    )
    return {"id": made.json()["data"]["id"]}


async def _account(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    await _user(rest, documents, user_id)
    made = await rest.post(
        "/accounts", json={"name": "Purse", "type": "cash"}, **on_behalf(user_id)
    )
    return {"accountId": made.json()["data"]["accountId"]}


CHANGES: dict[str, tuple[Prepare, Json]] = {
    "CreateCategory": (_user, {"name": "Pets", "type": "expense"}),
    "UpdateCategory": (_category, {"name": "Animals"}),
    "DeleteCategory": (_category, {}),
    "CreateAccount": (_user, {"name": "Purse", "type": "cash"}),
    "UpdateAccount": (_account, {"name": "Wallet"}),
    "DeleteAccount": (_account, {}),
    "ReconcileAccount": (
        _account,
        {"statementDate": "2026-01-31", "statementBalance": {"value": "7.5"}, "adjust": True},
    ),
}


async def state(documents: Documents, user_id: str) -> Any:
    user = await documents["users"].find_one({"userId": user_id}, {"_id": 1})
    owner: ObjectId | None = user["_id"] if user else None
    ledger = await documents["money_ledgers"].find_one({"_id": owner}, {"_id": 0, "rev": 1})
    # Background work erases accounts that were deleted.
    query = {"owner": owner, "deletingAt": {"$exists": False}}
    found = [await documents[name].find(query).sort("_id").to_list(None) for name in COLLECTIONS]
    return ledger if found[1] else None, found


def contents(database: Database[dict[str, Any]]) -> Any:
    query = {"deletingAt": {"$exists": False}}
    return [list(database[name].find(query).sort("_id")) for name in COLLECTIONS]
