"""All that is kept of a user's money: it is exported, recounted, and goes with the user."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from bson import ObjectId

from tests.e2e import connector_steps as step
from tests.e2e.connector_steps import Json
from tests.e2e.money_steps import Money
from tests.operator_commands import ran
from tests.stack import Stack

KINDS = ("category", "account", "transaction", "budget")
OF_OWNER = ("categories", "accounts", "transactions", "budgets")


@pytest.fixture
async def money(rest: httpx.AsyncClient, new_id: str) -> AsyncIterator[Money]:
    await step.create_user(rest, new_id)
    yield Money(rest, new_id)
    await rest.delete(f"/users/{new_id}")


async def spend(money: Money) -> tuple[Json, Json]:
    """An account with a transfer, an expense and one that was deleted; and a budget put away."""
    bank = await money.made("/accounts", {"name": "Bank", "type": "bank"})
    card = await money.made("/accounts", {"name": "Card", "type": "credit_card"})
    own = {"accountId": bank["accountId"], "amount": {"value": "12.50"}, "date": "2026-11-03"}
    await money.made("/transactions", {**own, "kind": "expense"})
    transfer = {**own, "kind": "transfer", "toAccountId": card["accountId"], "date": "2026-11-01"}
    await money.made("/transactions", transfer)
    gone = await money.made("/transactions", {**own, "kind": "expense"})
    assert (await money.delete(f"/transactions/{gone['id']}")).is_success
    (category,) = (await money.get("/categories", type="expense")).json()["data"]["categories"][:1]
    plan = {
        "name": "Month", "period": "monthly", "startDate": "2026-11-01",
        "items": [{"categoryId": category["id"], "amount": {"value": "100.00"}}],
    }  # fmt: skip
    budget = await money.made("/budgets", plan)
    assert (await money.put(f"/budgets/{budget['id']}", {"archived": True})).is_success
    return bank, budget


async def exported(money: Money) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {kind: [] for kind in KINDS}
    async with money.rest.stream("GET", f"/users/{money.user_id}/export") as reply:
        async for line in reply.aiter_lines():
            for kind, item in json.loads(line).items():
                if kind in found:
                    found[kind].append(item)
    return found


async def verified(stack: Stack, *options: str) -> tuple[int, Json, str]:
    done = ran("verify-money", *options, env={"DATA_DIR": str(stack.data_dir)})
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


async def test_an_export_has_all_money(money: Money) -> None:
    _, budget = await spend(money)
    found = await exported(money)
    listed = (await money.get("/transactions", sort="date")).json()["data"]["transactions"]
    assert found["transaction"] == listed
    assert len(listed) == 3
    assert found["account"] == (await money.get("/accounts")).json()["data"]["accounts"]
    assert found["budget"] == [(await money.get(f"/budgets/{budget['id']}")).json()["data"]]
    assert len(found["category"]) == 16


async def test_money_goes_with_its_user(money: Money, stack: Stack) -> None:
    await spend(money)
    async with step.database(stack) as documents:
        user = await documents["users"].find_one({"userId": money.user_id})
        assert user is not None
        owner = user["_id"]
        assert (await money.rest.delete(f"/users/{money.user_id}")).is_success
        assert await documents["data_keys"].find_one({"user": owner}) is None

        async def is_erased() -> bool:
            left = [await documents[name].count_documents({"owner": owner}) for name in OF_OWNER]
            months = {"_id": {"$regex": f"^{owner}/"}}
            return not sum(left) + await documents["money_rollups"].count_documents(months)

        await step.eventually(is_erased, "the money to be erased")


async def test_balances_are_recounted_by_a_command(money: Money, stack: Stack) -> None:
    bank, _ = await spend(money)
    code, report, _ = await verified(stack, "--user", money.user_id)
    assert (code, report["event"], report["transactions"], report["problems"]) == (
        0,
        "equal",
        3,
        [],
    )
    account = ObjectId(bank["accountId"])
    async with step.database(stack) as documents:
        lost = await documents["transactions"].find_one_and_delete(
            {"accountId": account, "kind": "expense"}
        )
        assert lost is not None
        code, report, _ = await verified(stack, "--user", money.user_id)
        assert (code, report["event"], report["different"]) == (1, "different", 1)
        assert f"2026-11-03: account {account}, category none" in report["problems"][0]
        assert "12" not in report["problems"][-1].replace(str(lost["owner"]), "").replace(
            str(account), ""
        )
        await documents["transactions"].insert_one(lost)
    code, _, _ = await verified(stack, "--user", money.user_id)
    assert code == 0
    code, _, said = await verified(stack, "--user", "nobody_at_all")
    assert (code, said.strip()) == (1, "finlink: there is no user nobody_at_all")
