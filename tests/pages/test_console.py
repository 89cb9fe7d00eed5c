"""The console in a browser, as whoever is on call uses it."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from server.core.access import Scope, digest, new_key
from tests.chaos.figures import Figures
from tests.chaos.ground import Ground
from tests.e2e import connector_steps as step
from tests.e2e.connector_steps import BROKEN_NET_WORTH, credentials_of
from tests.pages.console import BUILT, SEEN, failure_of, heading, live, run_example
from tests.pages.looking import Looking
from tests.stack import Stack, running

pytestmark = BUILT


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """One whose console may have complaints: browsers note each call that fails."""
    context = await browser.new_context()
    yield await context.new_page()
    await context.close()


async def test_it_shows_what_is_wrong_and_how_many_are_connected(
    stack: Stack, rest: httpx.AsyncClient, looking: Looking, new_id: str
) -> None:
    await step.create_user(rest, new_id)
    made = await step.connect(rest, new_id, "zerodha")
    await step.synced(rest, made["id"])
    page = looking.page
    begun = time.monotonic()
    await looking.open(f"{stack.rest}/console/")
    numbers = page.get_by_role("table").filter(has=page.get_by_role("columnheader", name="Expired"))
    await expect(numbers).to_be_visible(timeout=SEEN)
    seconds = time.monotonic() - begun
    Figures("console").show(f"seconds until the first figures are seen ({looking.scheme})", seconds)
    counts = (await rest.get("/connectors/status")).json()["data"]["byPlatform"]
    for platform, name in (("fi_money", "Fi Money"), ("zerodha", "Zerodha")):
        number = numbers.get_by_label(f"{counts[platform]['active']} connected, {name}")
        await expect(number).to_be_visible(timeout=SEEN)
    await expect(page.get_by_role("heading", name="Newest failures")).to_be_visible()
    await expect(
        page.get_by_role("img", name=re.compile("Zerodha, syncs that ended"))
    ).to_be_visible()
    await live(page)
    await looking.assert_accessible()


@pytest.mark.full_only
async def test_bars_of_partial_runs_are_hatched(
    stack: Stack, rest: httpx.AsyncClient, looking: Looking, new_id: str
) -> None:
    await step.create_user(rest, new_id)
    broken = credentials_of(BROKEN_NET_WORTH)
    await step.connect(rest, new_id, credentials=broken, permissions=["transactions", "portfolio"])

    async def counted() -> bool:
        points = (await rest.get("/connectors/trends")).json()["data"]["points"]
        return any(each["partial"] for point in points for each in point["platforms"])

    await step.eventually(counted, "a partial run in the trends")
    await looking.open(f"{stack.rest}/console/")
    bars = looking.page.locator("svg rect[fill^='url(']")
    await expect(bars.first).to_be_attached(timeout=SEEN)
    found = (
        "bars => bars.map(bar => !!document.querySelector(bar.getAttribute('fill').slice(4, -1)))"
    )
    assert set(await bars.evaluate_all(found)) == {True}


@pytest.mark.full_only
async def test_a_failing_sync_appears_with_its_cause(
    stack: Stack, rest: httpx.AsyncClient, looking: Looking, new_id: str
) -> None:
    await step.create_user(rest, new_id)
    page = looking.page
    await looking.open(f"{stack.rest}/console/")
    await live(page)
    begun = time.monotonic()
    made = await step.connect(
        rest, new_id, credentials=credentials_of(BROKEN_NET_WORTH), permissions=["portfolio"]
    )
    cause = failure_of(page, new_id)
    await expect(cause).to_contain_text("PLATFORM_DATA_ERROR", timeout=SEEN)
    seconds = time.monotonic() - begun
    Figures("console").show(
        f"seconds from connecting to a failed sync seen ({looking.scheme})", seconds
    )
    message = (await step.get(rest, made["id"]))["errors"][0]["errorMessage"]
    await expect(cause).to_contain_text(message)
    if await cause.locator("details").count():  # others have the same cause
        await cause.locator("summary").click()
    await cause.get_by_role("link", name=f"{new_id} · Fi Money").click()
    await expect(heading(page)).to_have_text(f"{new_id} · Fi Money")
    await expect(page.get_by_text(made["id"])).to_be_visible()
    await expect(page.locator(".headline")).to_contain_text("Failing")
    await expect(page.get_by_role("region", name="Errors").first).to_contain_text(message)
    await looking.assert_accessible()
    await page.go_back()
    await expect(cause).to_be_visible()


@pytest.mark.full_only
async def test_a_sync_that_brings_a_part_appears_with_what_is_missing(
    stack: Stack, rest: httpx.AsyncClient, looking: Looking, new_id: str
) -> None:
    await step.create_user(rest, new_id)
    page = looking.page
    await looking.open(f"{stack.rest}/console/")
    await live(page)
    broken = credentials_of(BROKEN_NET_WORTH)
    granted = ["transactions", "portfolio"]
    await step.connect(rest, new_id, credentials=broken, permissions=granted)
    cause = failure_of(page, new_id)
    await expect(cause).to_contain_text("Partial without portfolio", timeout=SEEN)
    await looking.assert_accessible()
    await page.reload()  # now from the audit trail
    await expect(cause).to_contain_text("Partial without portfolio", timeout=SEEN)
    await page.get_by_role("searchbox").fill(new_id[2:-2])
    await page.keyboard.press("Enter")
    row = page.get_by_role("row").filter(has_text=f"{new_id} · Fi Money")
    await expect(row).to_contain_text("Brings a part", timeout=SEEN)
    await page.get_by_label("State").select_option("failing")
    await expect(row).to_contain_text("PLATFORM_DATA_ERROR", timeout=SEEN)
    await page.get_by_label("State").select_option("expired")
    await expect(page.get_by_text("No connector has")).to_be_visible(timeout=SEEN)


@pytest.mark.full_only
async def test_the_button_starts_a_run_and_the_row_changes_by_itself(
    turned: Ground, looking: Looking, new_id: str
) -> None:
    async with httpx.AsyncClient(base_url=f"{turned.stack.rest}/api/v1", timeout=40) as rest:
        await step.create_user(rest, new_id)
        made = await step.connect(rest, new_id)
        await step.synced(rest, made["id"])
    page = looking.page
    await looking.open(f"{turned.stack.rest}/console/#/connectors/{made['id']}")
    await live(page)
    newest = page.get_by_role("region", name="Runs").get_by_role("row").nth(1)
    await expect(newest).to_contain_text("Success")
    turned.sandbox.put("/breakpoints/console", {"platform": "fi_money", "at": "arrival"})
    await page.get_by_role("button", name="Sync now").click()
    await expect(page.get_by_text("A sync was requested.")).to_be_visible()
    await expect(newest).to_contain_text("In progress", timeout=SEEN)
    await looking.assert_accessible()
    turned.sandbox.control.delete("/breakpoints/console").raise_for_status()
    await expect(newest).to_contain_text("Success", timeout=SEEN)
    await expect(page.get_by_text("In progress")).to_have_count(0)


@pytest.mark.full_only
async def test_a_keyboard_is_enough(turned: Ground, looking: Looking, new_id: str) -> None:
    async with httpx.AsyncClient(base_url=f"{turned.stack.rest}/api/v1", timeout=40) as rest:
        await step.create_user(rest, new_id)
        made = await step.connect(rest, new_id)
        await step.synced(rest, made["id"])
    page = looking.page
    await looking.open(f"{turned.stack.rest}/console/")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Skip to the content")).to_be_focused()
    await _tab_to(page, page.get_by_role("searchbox"))
    await page.keyboard.type(made["id"])
    await page.keyboard.press("Enter")
    await expect(heading(page)).to_be_focused()
    await expect(page.get_by_text(made["id"])).to_be_visible(timeout=SEEN)
    await expect(page.get_by_role("button", name="Sync now")).to_be_visible(timeout=SEEN)
    await _tab_to(page, page.get_by_role("button", name="Sync now"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("A sync was requested.")).to_be_visible()
    await page.go_back()
    await expect(heading(page)).to_be_focused()


@pytest.mark.full_only
async def test_it_says_when_it_is_not_live(turned: Ground, page: Page) -> None:
    await page.route("**/connectors/watch", lambda route: route.abort())
    await page.goto(f"{turned.stack.rest}/console/")
    await expect(page.get_by_text("Reconnecting; stale since")).to_be_visible(timeout=SEEN)
    await expect(page.get_by_role("heading", name="Connections")).to_be_visible(timeout=SEEN)
    await page.unroute("**/connectors/watch")
    await live(page)


@pytest.mark.full_only
async def test_it_waits_where_calls_are_limited_and_says_so(
    page: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # The counts and the trends are two calls of a group that has one in two seconds.
    limits = {"RATE_LIMITS": "on", "RATE_LIMIT_STATUS": "1", "RATE_LIMIT_WINDOW_MS": "2000"}
    with running(tmp_path_factory.mktemp("limits"), WORKERS="1", **limits) as limited:
        await page.goto(f"{limited.rest}/console/")
        notice = page.get_by_text("Finlink limits calls from this address")
        await expect(notice).to_be_visible(timeout=SEEN)
        await expect(page.get_by_role("heading", name="No connectors yet")).to_be_visible(
            timeout=SEEN
        )
        await expect(heading(page)).to_have_text("All is well", timeout=SEEN)
        await expect(notice).to_have_count(0, timeout=SEEN)
        await run_example(page)
        await expect(page.get_by_role("heading", name="Connections")).to_be_visible(timeout=SEEN)


@pytest.mark.full_only
async def test_where_there_are_keys_it_asks_for_one(
    page: Page, tmp_path_factory: pytest.TempPathFactory, new_id: str
) -> None:
    keys = {scope: new_key() for scope in (Scope.READ, Scope.ADMIN)}
    entries = [
        f"{scope.name.lower()}-key:{scope.name.lower()}:{digest(key)}"
        for scope, key in keys.items()
    ]
    with running(
        tmp_path_factory.mktemp("keys"), API_KEYS=",".join(entries), WORKERS="1"
    ) as guarded:
        admin = {"x-api-key": keys[Scope.ADMIN]}
        async with httpx.AsyncClient(base_url=f"{guarded.rest}/api/v1", headers=admin) as rest:
            await step.create_user(rest, new_id)
            made = await step.connect(rest, new_id)
        await page.goto(f"{guarded.rest}/console/")
        field = page.get_by_label("Key", exact=True)
        await expect(field).to_have_attribute("type", "password", timeout=SEEN)
        await field.fill("not a key")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("This API key is unknown or revoked.")).to_be_visible(
            timeout=SEEN
        )
        await field.fill(keys[Scope.READ])
        await page.keyboard.press("Enter")
        await live(page)
        await expect(page.get_by_text("needs a key of the scope admin")).to_be_visible(timeout=SEEN)
        await page.goto(f"{guarded.rest}/console/#/connectors/{made['id']}")
        await page.get_by_role("button", name="Sync now").click()
        await expect(page.get_by_role("alert")).to_contain_text("PERMISSION_DENIED")
        kept = await page.evaluate("[Object.values(sessionStorage), Object.values(localStorage)]")
        assert kept == [[keys[Scope.READ]], []]
        assert keys[Scope.READ] not in await page.content()
        await page.get_by_role("button", name="Forget key").click()
        await expect(field).to_be_visible(timeout=SEEN)
        assert await page.evaluate("sessionStorage.length") == 0


async def _tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until it has the focus."""
    for _ in range(40):
        if await wanted.evaluate("element => element === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError("the keyboard does not get there")
