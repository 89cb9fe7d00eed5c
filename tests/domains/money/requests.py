"""Requests of the money domain that succeed, and what they change."""

from __future__ import annotations

from typing import Any

import httpx
from bson import ObjectId
from pymongo.database import Database

from tests.domains.preparing import Prepare
from tests.e2e import connector_steps as steps
from tests.e2e.connector_steps import Documents, Json
from tests.e2e.identity_steps import bearer, with_role

COLLECTIONS = ("categories", "accounts", "transactions", "transfer_marks", "budgets")
AMOUNT = {"value": "12.50"}
BUDGET = {"name": "Plan", "period": "monthly", "startDate": "2026-01-25"}
ENTERED = {"entered": {"$exists": True}}  # exchange rates that an admin has entered


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


async def _post(rest: httpx.AsyncClient, path: str, user_id: str, body: Json) -> Json:
    reply = await rest.post(path, json=body, **on_behalf(user_id))
    data: Json = reply.json()["data"]
    return data


async def _new_transaction(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    account = await _account(rest, documents, user_id)
    return {**account, "kind": "expense", "amount": AMOUNT}


async def _new_transactions(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    return {"transactions": [await _new_transaction(rest, documents, user_id)]}


async def _transaction(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    new = await _new_transaction(rest, documents, user_id)
    return {"id": (await _post(rest, "/transactions", user_id, new))["id"]}


async def _transactions(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    return {"ids": [(await _transaction(rest, documents, user_id))["id"]]}


async def _deleted(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    made = await _transaction(rest, documents, user_id)
    await rest.delete(f"/transactions/{made['id']}", **on_behalf(user_id))
    return made


async def _transfer(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    new = await _new_transaction(rest, documents, user_id)
    other = await _post(rest, "/accounts", user_id, {"name": "Card", "type": "credit_card"})
    new |= {"kind": "transfer", "toAccountId": other["accountId"]}
    return {"id": (await _post(rest, "/transactions", user_id, new))["id"]}


async def _pair(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    new = await _new_transaction(rest, documents, user_id)
    other = await _post(rest, "/accounts", user_id, {"name": "Card", "type": "credit_card"})
    out = await _post(rest, "/transactions", user_id, new)
    new |= {"kind": "income", "accountId": other["accountId"]}
    return {
        "id": out["id"],
        "counterpartId": (await _post(rest, "/transactions", user_id, new))["id"],
    }


async def _budget(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    category = await _category(rest, documents, user_id)
    items = [{"categoryId": category["id"], "amount": AMOUNT}]
    made = await _post(rest, "/budgets", user_id, {**BUDGET, "items": items})
    return {"id": made["id"]}


async def _empty_budget(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    category = await _category(rest, documents, user_id)
    made = await _post(rest, "/budgets", user_id, BUDGET)
    return {"id": made["id"], "categoryId": category["id"]}


async def _budget_item(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    made = await _budget(rest, documents, user_id)
    reply = await rest.get(f"/budgets/{made['id']}/items", **on_behalf(user_id))
    return {**made, "itemId": reply.json()["data"]["items"][0]["id"]}


async def loaded_rates(rest: httpx.AsyncClient, user_id: str) -> None:
    """Wait until Finlink has loaded the ECB's rates, as it does when it starts."""

    async def probe() -> bool | None:
        reply = await rest.get("/exchange-rates", **on_behalf(user_id))
        return reply.is_success or None

    await steps.eventually(probe, "the ECB's rates are loaded")


async def _rates(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    chief = f"{user_id}_chief"
    headers = bearer(await with_role(rest, documents, chief, "admin"))
    await loaded_rates(rest, chief)
    return {**headers, "date": "2026-10-30", "base": "USD"}


async def _stream(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    """A connector of which rows were posted, and an account without a connector."""
    prepared = await _account(rest, documents, user_id)
    connected = await steps.connect(rest, user_id, permissions=["transactions"])

    async def linked() -> Json | None:
        found = (await rest.get("/accounts", **on_behalf(user_id))).json()["data"]["accounts"]
        waiting = await documents["record_postings"].count_documents(
            {"_id": connected["id"], "dueAt": {"$exists": True}}
        )
        return next((each for each in found if "stream" in each and not waiting), None)

    account = await steps.eventually(linked, "an account for a bank's rows")
    return {**prepared, "connectorId": connected["id"], "stream": account["stream"]}


async def _linked(rest: httpx.AsyncClient, documents: Documents, user_id: str) -> Json:
    """An account with a stream."""
    prepared = await _stream(rest, documents, user_id)
    query = {"connectorId": ObjectId(prepared["connectorId"])}
    found = await documents["account_streams"].find_one(query)
    assert found is not None
    return {"accountId": str(found["accountId"])}


CHANGES: dict[str, tuple[Prepare, Json]] = {
    "UpdateExchangeRates": (_rates, {"rates": {"AED": "3.6725"}}),
    "AttachStream": (_stream, {}),
    "DetachStream": (_linked, {}),
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
    "CreateTransaction": (_new_transaction, {}),
    "UpdateTransaction": (_transaction, {"notes": "New"}),
    "DeleteTransaction": (_transaction, {}),
    "BulkCreateTransactions": (_new_transactions, {}),
    "BulkUpdateTransactions": (_transactions, {"set": {"notes": "New"}}),
    "BulkDeleteTransactions": (_transactions, {}),
    "RestoreTransaction": (_deleted, {}),
    "MatchTransaction": (_pair, {}),
    "UnmatchTransaction": (_transfer, {}),
    "CreateBudget": (_user, BUDGET),
    "UpdateBudget": (_budget, {"name": "Other"}),
    "DeleteBudget": (_budget, {}),
    "CreateBudgetItem": (_empty_budget, {"amount": AMOUNT}),
    "UpdateBudgetItem": (_budget_item, {"amount": {"value": "13.00"}}),
    "DeleteBudgetItem": (_budget_item, {}),
}


async def state(documents: Documents, user_id: str) -> Any:
    user = await documents["users"].find_one({"userId": user_id}, {"_id": 1})
    owner: ObjectId | None = user["_id"] if user else None
    ledger = await documents["money_ledgers"].find_one({"_id": owner}, {"_id": 0, "rev": 1})
    # Background work erases accounts that were deleted.
    query = {"owner": owner, "deletingAt": {"$exists": False}}
    found = [await documents[name].find(query).sort("_id").to_list(None) for name in COLLECTIONS]
    entered = await documents["exchange_rates"].find(ENTERED).sort("_id").to_list(None)
    return ledger if found[1] else None, found, entered


def contents(database: Database[dict[str, Any]]) -> Any:
    query = {"deletingAt": {"$exists": False}}
    found = [list(database[name].find(query).sort("_id")) for name in COLLECTIONS]
    return [*found, list(database["exchange_rates"].find(ENTERED).sort("_id"))]
