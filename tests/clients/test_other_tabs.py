"""The TypeScript client's session for pages: tabs of a real Chromium share it at a running Finlink."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import BrowserContext, Page, Request, Route, async_playwright

from codegen.clients import LANGUAGES, TYPESCRIPT
from tests.pages.conftest import ARGUMENTS, PROGRAMS
from tests.stack import Stack

pytestmark = pytest.mark.full_only
PASSWORD = "a long and quiet walk"
PAGE = "<!doctype html><title>A page</title>"
BEGIN = """async (fields) => {
  const { BrowserSession } = await import("/page/browser.js");
  window.session = new BrowserSession();
  window.me = async () => {
    const reply = await session.fetch("/api/v1/auth/me");
    return (await reply.json()).data?.userId ?? reply.status;
  };
  if (fields !== null) await session.login(fields);
}"""
AGE = """() => {
  const name = "finlink-session";
  const tokens = JSON.parse(localStorage.getItem(name));
  localStorage.setItem(name, JSON.stringify({ ...tokens, due: 0 }));
}"""


@pytest.fixture
async def tabs() -> AsyncIterator[BrowserContext]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None or not LANGUAGES["typescript"].is_current():
        pytest.skip("there is no browser, or the typescript client is not made: make clients")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield await browser.new_context()
        await browser.close()


async def give(route: Route) -> None:
    """A page of Finlink's origin, and the compiled client."""
    name = route.request.url.rpartition("/")[2]
    if name.endswith(".js"):
        content = (TYPESCRIPT / "build" / "src" / name).read_text()
        await route.fulfill(body=content, content_type="text/javascript")
    else:
        await route.fulfill(body=PAGE, content_type="text/html")


async def test_tabs_share_a_session_and_refresh_once(tabs: BrowserContext, stack: Stack) -> None:
    name = f"tab_{uuid.uuid4().hex}"
    body = {"userId": name, "email": f"{name}@example.com", "password": PASSWORD}
    assert (await tabs.request.post(f"{stack.rest}/api/v1/auth/register", data=body)).status == 201
    await tabs.route("**/page/*", give)
    refreshes: list[tuple[str | None, str]] = []

    def note(request: Request) -> None:
        if request.url.endswith("/refresh"):
            refreshes.append((request.post_data, request.headers["idempotency-key"]))

    tabs.on("request", note)
    pages: list[Page] = [await tabs.new_page() for _ in range(4)]
    for number, page in enumerate(pages):
        await page.goto(f"{stack.rest}/page/start")
        await page.evaluate(
            BEGIN, None if number else {"email": body["email"], "password": PASSWORD}
        )
    first = pages[0]
    await first.evaluate(AGE)
    # All ask at one moment, each twice.
    started = [
        await page.evaluate_handle("() => ({all: Promise.all([me(), me()])})") for page in pages
    ]
    assert [await each.evaluate("(it) => it.all") for each in started] == [[name] * 2] * 4
    # A browser's processes see each other's storage a little late, so a tab may repeat the refresh of the
    # one before it: with the same key, which is the same rotation.
    assert len(set(refreshes)) == 1
    assert len(refreshes) <= len(pages)

    await first.evaluate("() => session.logout()")
    await pages[1].wait_for_function("() => !session.isSignedIn")
    ended = "() => me().catch((error) => error.code)"
    assert await pages[1].evaluate(ended) == "SESSION_ENDED"
    wrong = "(fields) => session.login(fields).catch((error) => error.code)"
    fields = {"email": body["email"], "password": "wrong"}
    assert await first.evaluate(wrong, fields) == "LOGIN_FAILED"
