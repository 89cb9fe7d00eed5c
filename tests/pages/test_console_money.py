"""The console's page of a user's money, which staff read on the user's behalf."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.async_api import expect

from tests.e2e import connector_steps as step
from tests.e2e.money_steps import Money
from tests.pages.console import BUILT, SEEN, heading
from tests.pages.looking import Looking
from tests.stack import Stack

pytestmark = BUILT


@pytest.mark.full_only
async def test_a_users_money_is_seen(
    stack: Stack, rest: httpx.AsyncClient, looking: Looking, new_id: str, tmp_path: Path
) -> None:
    await step.create_user(rest, new_id)
    money = Money(rest, new_id)
    bank = await money.made(
        "/accounts",
        {"name": "HDFC Savings", "type": "bank", "openingBalance": {"value": "100000.00"}},
    )
    await money.made("/accounts", {"name": "N26", "type": "bank", "currency": "EUR"})
    found = (await money.get("/categories", type="expense")).json()["data"]["categories"]
    food, home = found[0], found[1]
    for category, spent, payee in ((food, "8500.00", "Big Bazaar"), (home, "12000.00", "Landlord")):
        await money.made(
            "/transactions",
            {
                "accountId": bank["accountId"], "kind": "expense", "amount": {"value": spent},
                "categoryId": category["id"], "payee": payee,
            },
        )  # fmt: skip
    items = [
        {"categoryId": food["id"], "amount": {"value": "10000.00"}},
        {"categoryId": home["id"], "amount": {"value": "9000.00"}},
    ]
    await money.made(
        "/budgets",
        {"name": "Household", "period": "monthly", "startDate": "2026-01-01", "items": items},
    )

    page = looking.page
    await looking.open(f"{stack.rest}/console/#/users/{new_id}")
    await page.get_by_role("link", name="Accounts, transactions and budgets").click()
    await expect(heading(page)).to_have_text(f"Money of {new_id}")
    accounts = page.get_by_role("region", name="Accounts").last
    await expect(accounts.get_by_role("row").filter(has_text="HDFC Savings")).to_contain_text(
        "₹79,500.00", timeout=SEEN
    )
    await expect(page.get_by_text(re.compile("Net worth: .*₹79,500.00"))).to_be_visible()
    bars = page.get_by_role("listitem")
    await expect(bars.filter(has_text=food["name"])).to_contain_text("85.0 %", timeout=SEEN)
    await expect(bars.filter(has_text=home["name"])).to_contain_text("over")
    newest = page.get_by_role("row").filter(has_text="Landlord")
    await expect(newest).to_contain_text("-₹12,000.00", timeout=SEEN)
    await expect(newest).to_contain_text(home["name"])
    await looking.assert_accessible()
    await looking.picture(tmp_path, "money")


@pytest.mark.full_only
async def test_a_user_without_money_has_a_page_as_well(
    stack: Stack, rest: httpx.AsyncClient, looking: Looking, new_id: str
) -> None:
    await step.create_user(rest, new_id)
    page = looking.page
    await looking.open(f"{stack.rest}/console/#/users/{new_id}/money")
    for nothing in ("accounts", "budgets", "transactions"):
        await expect(page.get_by_text(f"There are no {nothing}.")).to_be_visible(timeout=SEEN)
    await looking.assert_accessible()
