"""A day is the user's own, as it was when the money was spent, and it never moves."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.e2e import connector_steps as steps
from tests.e2e.money_steps import Money
from tests.e2e.test_transactions import account, category
from tests.stack import Stack


@pytest.fixture
async def year(late: Stack) -> AsyncIterator[int]:
    """It is eight in the evening of its last day, in UTC."""
    now = datetime.now(UTC)
    evening = datetime(now.year, 12, 31, 20, tzinfo=UTC)
    late.turn_clock(evening - now)
    yield now.year
    late.turn_clock(timedelta())


async def test_days_are_the_user_s_and_never_move(
    later: httpx.AsyncClient, year: int, new_id: str
) -> None:
    await steps.create_user(later, new_id)
    money = Money(later, new_id)
    purse, pets = await account(money), await category(money, "Pets at home")
    items = [{"categoryId": pets, "amount": {"value": "500.00"}}]
    plan = {"name": "Month", "period": "monthly", "startDate": f"{year}-12-01", "items": items}
    budget = await money.made("/budgets", plan)
    december, january = f"{year}-12-31", f"{year + 1}-01-01"

    async def spend(value: str, **others: str) -> str:
        sent = {"accountId": purse, "kind": "expense", "categoryId": pets, **others}
        made = await money.made("/transactions", {**sent, "amount": {"value": value}})
        return str(made["date"])

    async def check() -> None:
        for day, spent, balance in ((december, "20.00", "-20.00"), (january, "10.00", "-30.00")):
            month: dict[str, Any] = {"from": f"{day[:7]}-01", "to": f"{day[:7]}-31"}
            rows = (await money.get("/transactions", **month)).json()["data"]["transactions"]
            assert [(each["date"], each["amount"]["value"]) for each in rows] == [(day, spent)]
            found = await money.get(f"/budgets/{budget['id']}/analysis", date=day)
            (period,) = found.json()["data"]["periods"]
            assert period["items"][0]["spent"]["value"] == spent
            found = await money.get(f"/accounts/{purse}/balance", date=day)
            assert found.json()["data"]["balance"]["value"] == balance
        lines = (await later.get(f"/users/{new_id}/export")).text.splitlines()
        items = [each["transaction"] for each in map(json.loads, lines) if "transaction" in each]
        assert [each["date"] for each in items] == [december, january]

    assert await spend("10.00") == january, "in Kolkata it is half past one of the next day"
    assert await spend("20.00", date=december) == december
    await check()
    for zone in ("America/Los_Angeles", "Pacific/Kiritimati"):
        put = await later.put(f"/users/{new_id}/preferences", json={"timeZone": zone})
        assert put.is_success, put.text
        await check()
    await later.put(f"/users/{new_id}/preferences", json={"timeZone": "America/Los_Angeles"})
    assert await spend("30.00") == december, "where it is noon of the day before"
