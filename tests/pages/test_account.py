"""The pages behind the links of mails."""

from __future__ import annotations

import httpx
import pytest
from playwright.async_api import expect

from tests.e2e.identity_steps import PASSWORD, bearer, login, refused, register
from tests.e2e.mails import mail, token_of
from tests.pages.looking import Looking
from tests.stack import Stack

NEW = "an even better battery"


async def test_a_link_verifies_once_its_reader_agrees(
    stack: Stack, rest: httpx.AsyncClient, looking: Looking, new_id: str
) -> None:
    await register(rest, new_id)
    message = await mail(stack, f"{new_id}@example.com", "Verify your email address")
    port = stack.ports["PORT"]
    assert f"http://localhost:{port}/account/verify-email#token=" in message["text"]
    page = looking.page
    await looking.open(f"{stack.rest}/account/verify-email#token={token_of(message)}")
    await expect(page.get_by_role("button", name="Verify")).to_be_visible()
    assert page.url == f"{stack.rest}/account/verify-email"
    assert (await rest.get(f"/users/{new_id}")).json()["data"]["emailVerified"] is False
    await looking.assert_accessible()
    await page.get_by_role("button", name="Verify").click()
    await expect(page.get_by_role("status")).to_contain_text("Email verified successfully")
    assert (await rest.get(f"/users/{new_id}")).json()["data"]["emailVerified"] is True


@pytest.mark.full_only
async def test_a_password_is_set_and_one_that_is_refused_is_explained(
    stack: Stack, rest: httpx.AsyncClient, looking: Looking, new_id: str
) -> None:
    address = f"{new_id}@example.com"
    await register(rest, new_id)
    session = await login(rest, new_id)
    await rest.post("/auth/forgot-password", json={"email": address})
    token = token_of(await mail(stack, address, "Set a new password"))
    page = looking.page
    await looking.open(f"{stack.rest}/account/reset-password#token={token}")
    await page.get_by_label("New password").fill("password")
    await page.get_by_role("button", name="Set password").click()
    await expect(page.get_by_role("alert")).to_contain_text("The password")
    (complaint,) = looking.complaints  # the browser reports each reply 400
    assert "400" in complaint
    looking.complaints.clear()
    await looking.assert_accessible()
    await page.get_by_label("New password").fill(NEW)
    await page.get_by_role("button", name="Set password").click()
    await expect(page.get_by_role("status")).to_contain_text("Password reset successfully")
    refused(await rest.get("/auth/me", headers=bearer(session)), 401, "SESSION_ENDED")
    refused(
        await rest.post("/auth/login", json={"username": new_id, "password": PASSWORD}),
        401,
        "LOGIN_FAILED",
    )
    await login(rest, new_id, password=NEW)


async def test_a_link_without_its_token_says_so(stack: Stack, looking: Looking) -> None:
    await looking.open(f"{stack.rest}/account/reset-password")
    await expect(looking.page.get_by_role("alert")).to_contain_text("has no token")
    await expect(looking.page.get_by_role("button")).to_be_hidden()
