"""People sign in to the console: a session that no script can read, and what their role reaches."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pyotp
import pytest
from playwright.async_api import Browser, Page, expect
from pymongo import AsyncMongoClient

from server.core.access import Scope, digest, new_key
from tests.e2e import connector_steps as step
from tests.pages.console import BUILT, SEEN, heading, live
from tests.pages.looking import Looking
from tests.stack import Stack, running

pytestmark = BUILT
PASSWORD = "a long and quiet walk"
ROLES = {"ursula": "user", "mohan": "moderator", "asha": "admin"}
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


async def register(stack: Stack, rest: httpx.AsyncClient, roles: Mapping[str, str]) -> None:
    """Users who can sign in, with their roles."""
    async with AsyncMongoClient[dict[str, object]](stack.mongodb_uri) as mongodb:
        users = mongodb["financial_app"]["users"]
        for name, role in roles.items():
            body = {"userId": name, "email": f"{name}@example.com", "password": PASSWORD}
            (await rest.post("/auth/register", json=body)).raise_for_status()
            await users.update_one({"userId": name}, {"$set": {"role": role}})


@pytest.fixture(scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Stack, str]]:
    """A Finlink that lets nobody in by itself, with a user of each role, and a connector."""
    key = new_key()
    entry = f"tests:{Scope.ADMIN.name.lower()}:{digest(key)}"
    with running(tmp_path_factory.mktemp("people"), API_KEYS=entry, WORKERS="1") as stack:
        async with httpx.AsyncClient(base_url=f"{stack.rest}/api/v1", timeout=40) as rest:
            await register(stack, rest, ROLES)
            rest.headers["x-api-key"] = key
            made = await step.connect(rest, "ursula")
        yield stack, made["id"]


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """One whose console may have complaints: browsers note each call that fails."""
    context = await browser.new_context()
    yield await context.new_page()
    await context.close()


async def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    await page.get_by_label("Email, username or phone number").fill(name)
    await page.get_by_label("Password").fill(password)
    await page.keyboard.press("Enter")


@pytest.mark.full_only
async def test_a_moderator_sees_what_is_theirs_and_is_offered_no_more(
    guarded: tuple[Stack, str], page: Page
) -> None:
    stack, connector = guarded
    await page.goto(f"{stack.rest}/console/#/connectors/{connector}")
    await expect(heading(page)).to_have_text("Sign in", timeout=SEEN)
    await sign_in(page, "mohan", "wrong")
    await expect(page.get_by_role("alert")).to_contain_text("Check the name and the password.")
    await sign_in(page, "ursula")
    await expect(page.get_by_role("alert")).to_contain_text("ursula has the role user.")
    assert [each["name"] for each in await page.context.cookies()] == ["finlink_device"]
    await sign_in(page, "mohan@example.com")
    await live(page)
    await expect(page.get_by_text("mohan moderator")).to_be_visible()
    await expect(page.get_by_text("your role is moderator")).to_be_visible(timeout=SEEN)
    for name in ("Sync now", "Disconnect"):
        await expect(page.get_by_role("button", name=name)).to_have_count(0)
    await expect(page.get_by_text("Audit trail")).to_have_count(0)
    await page.goto(f"{stack.rest}/console/")
    await expect(page.get_by_text("which only an admin may read")).to_be_visible(timeout=SEEN)

    kept = await page.evaluate("[Object.values(localStorage), document.cookie]")
    assert kept == [['{"userId":"mohan","role":"moderator"}'], ""]
    await page.reload()
    await live(page)
    await page.get_by_role("button", name="Sign out").click()
    await expect(heading(page)).to_have_text("Sign in", timeout=SEEN)
    assert "finlink_session" not in {each["name"] for each in await page.context.cookies()}


async def test_where_nobody_must_sign_in_people_may(
    stack: Stack, rest: httpx.AsyncClient, page: Page, new_id: str
) -> None:
    await register(stack, rest, {new_id: "moderator"})
    made = await step.connect(rest, new_id)
    await page.goto(f"{stack.rest}/console/#/connectors/{made['id']}")
    await expect(page.get_by_role("button", name="Disconnect")).to_be_visible(timeout=SEEN)
    await page.get_by_role("button", name="Sign in").click()
    await expect(heading(page)).to_have_text("Sign in")
    await page.get_by_role("button", name="Go on without").click()
    await page.get_by_role("button", name="Sign in").click()
    await sign_in(page, new_id)
    await expect(page.get_by_text(f"{new_id} moderator")).to_be_visible(timeout=SEEN)
    await expect(page.get_by_text("your role is moderator")).to_be_visible(timeout=SEEN)
    await expect(page.get_by_role("button", name="Disconnect")).to_have_count(0)
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=SEEN)


@pytest.mark.full_only
async def test_an_admin_changes_things_until_the_session_ends(
    guarded: tuple[Stack, str], page: Page
) -> None:
    stack, connector = guarded
    await page.goto(f"{stack.rest}/console/#/connectors/{connector}")
    await sign_in(page, "asha")
    await page.get_by_role("button", name="Sync now").click(timeout=SEEN)
    await expect(page.get_by_text(re.compile("A sync was requested|was skipped"))).to_be_visible()
    await page.get_by_text("Audit trail").click()
    await expect(page.get_by_text("connector.connected").first).to_be_visible(timeout=SEEN)
    await expect(page.get_by_text("asha from 127.0.0.1").first).to_be_visible()
    sessions = f"{stack.rest}/api/v1/auth/sessions?includeCurrent=true"
    ended = await page.request.delete(sessions, headers={"x-requested-with": "a test"})
    assert ended.ok
    await expect(page.get_by_text("Your session has ended.")).to_be_visible(timeout=SEEN)


@pytest.mark.full_only
@pytest.mark.parametrize("width", [390, 800, 1280])
async def test_it_fits(
    guarded: tuple[Stack, str], looking: Looking, width: int, tmp_path: Path
) -> None:
    stack, connector = guarded
    page = looking.page
    await page.set_viewport_size({"width": width, "height": 900})
    await looking.open(f"{stack.rest}/console/")
    await expect(heading(page)).to_have_text("Sign in", timeout=SEEN)
    await page.wait_for_load_state("networkidle")
    looking.complaints.clear()  # of the calls that were refused
    assert await page.evaluate(OVERFLOW) == 0
    await looking.assert_accessible()
    await looking.picture(tmp_path, f"sign-in-{width}")
    await sign_in(page, "mohan")
    await live(page)
    for place in ("", f"#/connectors/{connector}"):
        await page.goto(f"{stack.rest}/console/{place}")
        await expect(page.get_by_text("mohan moderator")).to_be_visible()
        await expect(page.locator("main h1")).not_to_have_text("Connector", timeout=SEEN)
        assert await page.evaluate(OVERFLOW) == 0
        await looking.assert_accessible()
        await looking.picture(tmp_path, f"signed-in-{width}-{bool(place)}")


@pytest.mark.full_only
async def test_a_second_factor_is_asked_for(guarded: tuple[Stack, str], page: Page) -> None:
    stack, _ = guarded
    async with httpx.AsyncClient(base_url=f"{stack.rest}/api/v1", timeout=40) as rest:
        await register(stack, rest, {"meera": "admin"})
        login = await rest.post("/auth/login", json={"username": "meera", "password": PASSWORD})
        rest.headers["authorization"] = f"Bearer {login.json()['data']['token']}"
        made = await rest.post("/auth/me/totp", json={})
        app = pyotp.TOTP(made.json()["data"]["secret"])
        used = app.at(time.time() - 30)
        (await rest.post("/auth/me/totp/confirm", json={"code": used})).raise_for_status()
    await page.goto(f"{stack.rest}/console/")
    await sign_in(page, "meera")
    code = page.get_by_label("Code of your authenticator app, or a recovery code")
    await code.fill("A" * 24)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("wrong", timeout=SEEN)
    await code.fill(app.now())
    await page.keyboard.press("Enter")
    await live(page)
    await expect(page.get_by_text("meera admin")).to_be_visible()
