"""`/docs` in a browser: it shows every operation, and tries calls."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Locator, Page, expect

from tests.openapi.document import operations
from tests.pages.looking import Looking
from tests.stack import Stack


def entry(page: Page, verb: str, path: str) -> Locator:
    """An operation's entry in the list beside the page."""
    summary = operations()[verb, path]["summary"]
    return page.get_by_role("link", name=f"{summary} {verb.upper()}", exact=True)


async def test_it_lists_every_operation(stack: Stack, looking: Looking) -> None:
    page = looking.page
    await looking.open(f"{stack.rest}/docs")
    await expect(page.get_by_role("heading", name="Finlink", level=1)).to_be_visible()
    for verb, path in operations():
        await expect(entry(page, verb, path)).to_be_attached()
    await looking.assert_accessible()


async def test_an_operation_shows_its_rules_examples_and_errors(
    stack: Stack, looking: Looking
) -> None:
    page = looking.page
    await looking.open(f"{stack.rest}/docs")
    await entry(page, "post", "/api/v1/users").click()
    await expect(page.get_by_label("Request body")).to_have_value(re.compile('"userId": "user_'))
    await page.get_by_role("button", name="SCHEMA", exact=True).first.click()
    await expect(page.get_by_text("Max 100 chars").first).to_be_visible()
    await page.get_by_role("button", name="409", exact=True).click()
    await expect(page.get_by_text("USER_EXISTS").last).to_be_visible()
    await looking.assert_accessible()


@pytest.mark.full_only
async def test_it_tries_a_call_and_shows_the_reply(
    stack: Stack, rest: httpx.AsyncClient, looking: Looking, new_id: str
) -> None:
    body = {"userId": new_id, "email": f"{new_id}@example.com", "city": "Pune"}
    (await rest.post("/users", json=body)).raise_for_status()
    page = looking.page
    await looking.open(f"{stack.rest}/docs")
    await entry(page, "get", "/api/v1/users/{userId}").click()
    await page.get_by_label("userId").fill(new_id)
    await page.get_by_role("button", name="TRY", exact=True).click()
    await expect(page.get_by_text("Response Status: OK:200")).to_be_visible()
    await expect(page.get_by_text(f"{new_id}@example.com")).to_be_visible()
    await looking.assert_accessible()


@pytest.mark.full_only
async def test_a_key_that_is_set_goes_with_a_call_and_is_not_shown(
    stack: Stack, looking: Looking
) -> None:
    page = looking.page
    await looking.open(f"{stack.rest}/docs")
    await page.get_by_role("link", name="Authentication", exact=True).click()
    key = page.get_by_label("API key")
    for secret in (key, page.get_by_label("Access token")):
        await expect(secret).to_have_attribute("type", "password")
    await key.fill("a-key-of-ours")
    await page.get_by_role("button", name="SET", exact=True).first.click()
    await expect(page.get_by_text("1 API key applied")).to_be_visible()
    await looking.assert_accessible()
    await entry(page, "get", "/api/v1/connectors/status").click()
    async with page.expect_request(re.compile("/api/v1/connectors/status")) as asked:
        await page.get_by_role("button", name="TRY", exact=True).click()
    assert (await (await asked.value).all_headers())["x-api-key"] == "a-key-of-ours"
    # It is nobody's, and a key that is sent must hold.
    await expect(page.get_by_text("Response Status: Unauthorized:401")).to_be_visible()
    (complaint,) = looking.complaints
    assert "401" in complaint
    looking.complaints.clear()


@pytest.mark.full_only
async def test_it_is_used_by_keyboard(stack: Stack, looking: Looking) -> None:
    page = looking.page
    await looking.open(f"{stack.rest}/docs")
    await entry(page, "get", "/api/v1/connectors/status").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Get connector status summary")).to_be_visible()
    await page.get_by_role("button", name="TRY", exact=True).focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Response Status: OK:200")).to_be_visible()


@pytest.mark.full_only
async def test_a_call_of_each_operation_can_be_made_up(stack: Stack, looking: Looking) -> None:
    page = looking.page
    await looking.open(f"{stack.rest}/docs")
    for (verb, path), operation in operations().items():
        await entry(page, verb, path).click()
        title = page.get_by_role("heading", name=operation["summary"], exact=True, level=2)
        await expect(title).to_be_visible()
        await expect(page.get_by_role("button", name="TRY", exact=True)).to_be_enabled()
        await looking.assert_accessible()


@pytest.mark.full_only
@pytest.mark.parametrize("width", [390, 1280])
async def test_a_person_signs_in_and_tries_calls(
    stack: Stack, rest: httpx.AsyncClient, looking: Looking, new_id: str, width: int, tmp_path: Path
) -> None:
    person = {"email": f"{new_id}@example.com", "password": "a long and quiet walk"}
    (await rest.post("/auth/register", json={"userId": new_id, **person})).raise_for_status()
    page = looking.page
    await page.set_viewport_size({"width": width, "height": 900})
    await looking.open(f"{stack.rest}/docs#auth")
    await page.get_by_label("Email, username or phone number").fill(new_id)
    await page.get_by_label("Password").fill("wrong")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("no longer valid")
    looking.complaints.clear()  # of the call that was refused
    await page.get_by_label("Password").fill(person["password"])
    await looking.picture(tmp_path, f"docs-{width}")
    await page.keyboard.press("Enter")
    signed_in = page.get_by_text(f"Signed in as {new_id} (user).")
    await expect(signed_in).to_be_visible()
    await looking.assert_accessible()
    await looking.picture(tmp_path, f"docs-signed-in-{width}")
    assert "finlink" not in await page.evaluate("document.cookie")

    await page.goto(f"{stack.rest}/docs#get-/api/v1/auth/me")
    await page.reload()
    await page.get_by_role("button", name="TRY", exact=True).click()
    await expect(page.get_by_text(person["email"])).to_be_visible()
    await page.goto(f"{stack.rest}/docs#auth")
    await page.reload()
    await expect(signed_in).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert "finlink_session" not in {each["name"] for each in await page.context.cookies()}
