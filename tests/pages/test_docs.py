"""`/docs` in a browser: it shows every operation, and tries calls."""

from __future__ import annotations

import httpx
import pytest
from playwright.async_api import expect

from tests.openapi.document import operations
from tests.pages.looking import Looking
from tests.stack import Stack

SUMMARIES = [operation["summary"] for operation in operations().values()]
# Scalar's button refers to a text that is not there while it is folded away.
NOT_OURS = 'button[aria-label="Copy code"]'


async def test_it_lists_every_operation(stack: Stack, looking: Looking) -> None:
    page = looking.page
    await looking.open(f"{stack.rest}/docs")
    for summary in SUMMARIES:
        await expect(page.get_by_role("link", name=f"{summary} HTTP Method")).to_be_attached()
    await expect(page.get_by_role("heading", name="Finlink", level=1)).to_be_visible()
    await expect(page.get_by_text("x-api-key").first).to_be_visible()
    await looking.assert_accessible()


@pytest.mark.full_only
async def test_it_tries_a_call_and_shows_the_answer(
    stack: Stack, rest: httpx.AsyncClient, looking: Looking, new_id: str
) -> None:
    body = {"userId": new_id, "email": f"{new_id}@example.com", "city": "Pune"}
    (await rest.post("/users", json=body)).raise_for_status()
    page = looking.page
    await looking.open(f"{stack.rest}/docs")
    await page.get_by_role("link", name="Get user HTTP Method").click()
    await page.get_by_role("button", name="Test Request (get /api/v1/users/{userId})").click()
    client = page.get_by_role("dialog")
    given = client.get_by_role("combobox").filter(has_text="user_12345")
    await given.fill(new_id)
    await client.get_by_role("button", name="Send get request").click()
    await expect(client.get_by_text("200 OK")).to_be_visible()
    await expect(client.get_by_text(f"{new_id}@example.com")).to_be_visible()
    await looking.assert_accessible(but=NOT_OURS)


@pytest.mark.full_only
async def test_a_call_of_each_operation_can_be_made_up(stack: Stack, looking: Looking) -> None:
    page = looking.page
    await looking.open(f"{stack.rest}/docs")
    for (verb, path), operation in operations().items():
        await page.get_by_role("link", name=f"{operation['summary']} HTTP Method").click()
        await page.get_by_role("button", name=f"Test Request ({verb} {path})").click()
        client = page.get_by_role("dialog")
        send = client.get_by_role("button", name=f"Send {verb} request", exact=False)
        await expect(send).to_be_enabled()
        await client.get_by_role("button", name="Close Client").click()
        await expect(client).to_be_hidden()
    await looking.assert_accessible(but=NOT_OURS)
