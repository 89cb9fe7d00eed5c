"""What the console's views of a connector, a user and a list let one do."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.async_api import expect

from tests.chaos.ground import Ground
from tests.e2e import connector_steps as step
from tests.pages.console import BUILT, SEEN, heading, live, run_example
from tests.pages.looking import Looking
from tests.stack import Stack

pytestmark = BUILT


@pytest.mark.full_only
async def test_a_run_is_cancelled_and_a_connector_disconnected_after_a_question(
    turned: Ground, looking: Looking, new_id: str
) -> None:
    async with httpx.AsyncClient(base_url=f"{turned.stack.rest}/api/v1", timeout=40) as rest:
        await step.create_user(rest, new_id)
        made = await step.connect(rest, new_id)
        await step.synced(rest, made["id"])
        page = looking.page
        await looking.open(f"{turned.stack.rest}/console/#/connectors/{made['id']}")
        await live(page)
        turned.sandbox.put("/breakpoints/console", {"platform": "fi_money", "at": "arrival"})
        await page.get_by_role("button", name="Sync now").click()
        await page.get_by_role("button", name="Cancel the run").click(timeout=SEEN)
        question = page.get_by_role("dialog")
        await expect(question).to_contain_text(f"Cancel the run of {new_id} · Fi Money")
        await looking.assert_accessible()
        await question.get_by_role("button", name="Leave it").click()
        await expect(question).to_have_count(0)
        await page.get_by_role("button", name="Cancel the run").click()
        await question.get_by_role("button", name="Cancel the run").click()
        newest = page.get_by_role("region", name="Runs").get_by_role("row").nth(1)
        await expect(newest).to_contain_text("Cancelled", timeout=SEEN)
        turned.sandbox.control.delete("/breakpoints/console").raise_for_status()
        await page.get_by_role("button", name="Disconnect").click()
        await expect(question).to_contain_text(f"Disconnect {new_id} · Fi Money?")
        await question.get_by_role("button", name="Disconnect").click()
        await expect(page.locator(".headline")).to_contain_text("Disconnected", timeout=SEEN)
        await expect(page.get_by_role("button", name="Sync now")).to_have_count(0)
        assert (await step.get(rest, made["id"]))["connectionStatus"] == "disconnected"


@pytest.mark.full_only
async def test_a_user_has_a_page_and_an_unknown_one_says_what_to_do(
    stack: Stack, rest: httpx.AsyncClient, looking: Looking, new_id: str
) -> None:
    body = {
        "userId": new_id,
        "email": f"{new_id}@example.com",
        "firstName": "Sai",
        "lastName": "Iyer",
    }
    (await rest.post("/users", json=body)).raise_for_status()
    page = looking.page
    await looking.open(f"{stack.rest}/console/#/users/{new_id}")
    await expect(heading(page)).to_have_text("Sai Iyer", timeout=SEEN)
    await expect(page.get_by_text(f"{new_id}@example.com")).to_be_visible()
    await expect(page.get_by_text("has not connected to a platform yet")).to_be_visible()
    await page.get_by_role("heading", name="Audit trail").click()
    await expect(page.get_by_text("user.created")).to_be_visible(timeout=SEEN)
    await looking.assert_accessible()
    await run_example(page)
    row = page.get_by_role("row").filter(has_text=f"{new_id} · Fi Money")
    await expect(row).to_contain_text("Connected", timeout=SEEN)
    environment = page.get_by_title(re.compile("^Finlink [0-9.]+ at 127.0.0.1"))
    await expect(environment).to_contain_text("development")


@pytest.mark.full_only
async def test_rows_are_sorted_by_a_column(
    stack: Stack, rest: httpx.AsyncClient, looking: Looking, new_id: str
) -> None:
    await step.create_user(rest, new_id)
    for platform in ("zerodha", "fi_money"):
        made = await step.connect(rest, new_id, platform)
        await step.synced(rest, made["id"])
    page = looking.page
    await looking.open(f"{stack.rest}/console/#/connectors?search={new_id}")
    names = page.get_by_role("link", name=re.compile(f"^{new_id} · "))
    await expect(names).to_have_text([f"{new_id} · Fi Money", f"{new_id} · Zerodha"], timeout=SEEN)
    await page.get_by_role("button", name="Last run").click()
    await expect(page.get_by_role("columnheader", name="Last run")).to_have_attribute(
        "aria-sort", "other"
    )
    await page.get_by_role("button", name="Connector").click()
    await expect(names.first).to_have_text(f"{new_id} · Fi Money")
    await looking.assert_accessible()
