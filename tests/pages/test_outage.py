"""The console during an outage of a platform that forty connectors have, and in two widths."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from tests.chaos.ground import Ground, ground
from tests.e2e import connector_steps as step
from tests.e2e.connector_steps import Json
from tests.pages.console import BUILT, SEEN, heading, live
from tests.pages.looking import Looking

pytestmark = BUILT
FIRST = ("Sai", "Priya", "Ravi", "Asha", "Kiran", "Meera", "Arjun", "Divya", "Nikhil", "Leela")
LAST = ("Iyer", "Nair", "Sharma", "Rao")
# One that loses net worth only: its runs bring a part.
IN_PART = "fetch_net_worth"


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ground, list[Json]]]:
    """Fi Money does not respond to forty connectors, and to one with a part only; Zerodha does."""
    with ground(tmp_path_factory.mktemp("outage")) as at:
        yield at, asyncio.run(_made(at))


def login_of(number: int) -> str:
    return f"98{number:08}"


async def _made(at: Ground) -> list[Json]:
    async with httpx.AsyncClient(base_url=f"{at.stack.rest}/api/v1", timeout=60) as rest:
        made: list[Json] = []
        for first in FIRST:
            for last in LAST:
                user = f"{first}_{last}".lower()
                body = {
                    "userId": user, "email": f"{user}@example.com", "firstName": first, "lastName": last,
                    "city": "Pune", "country": "India",
                }  # fmt: skip
                (await rest.post("/users", json=body)).raise_for_status()
                login = step.credentials_of(login_of(len(made)))
                made.append(await step.connect(rest, user, permissions=step.ALL, credentials=login))
        for user in ("sai_iyer", "priya_nair", "ravi_sharma"):
            fine = await step.connect(rest, user, "zerodha", permissions=step.GRANTED["zerodha"])
            await step.synced(rest, fine["id"])
        for each in made:
            await step.synced(rest, each["id"])
        at.sandbox.faults("fi_money", login_of(0), {"kind": "wrong_shape", "calls": IN_PART})
        for number in range(1, len(made)):
            at.sandbox.faults("fi_money", login_of(number), {"kind": "unavailable"})
        ended = [step.sync(rest, each["id"]) for each in made]
        await asyncio.gather(*ended)
    return made


@pytest.fixture(params=[800, 390])
async def looks(
    browser: Browser, request: pytest.FixtureRequest, scheme: str
) -> AsyncIterator[Looking]:
    context = await browser.new_context(
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": request.param, "height": 1000},
        timezone_id="Asia/Kolkata",
    )
    looking = Looking(await context.new_page(), f"{request.param}-{scheme}")
    yield looking
    await context.close()
    assert looking.complaints == []


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def picture(looking: Looking, name: str) -> None:
    """Of the whole page, into the folder that PICTURES names, to be looked at."""
    await looking.assert_accessible()
    wide = await looking.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, "the page itself does not scroll sideways"
    if folder := os.environ.get("PICTURES"):
        path = Path(folder) / f"{name}-{looking.scheme}.png"
        await looking.page.screenshot(path=path, full_page=True)  # makes the folder


@pytest.mark.full_only
async def test_an_outage_is_one_thing_and_one_row(
    away: tuple[Ground, list[Json]], looks: Looking
) -> None:
    at, made = away
    page = looks.page
    await looks.open(f"{at.stack.rest}/console/")
    await live(page)
    findings = page.locator(".findings > li")
    await expect(findings).to_have_count(1, timeout=SEEN)
    await expect(findings).to_contain_text(f"Fi Money: {len(made)} connectors fail")
    causes = page.get_by_role("region", name="Newest failures").first.locator(".causes > li")
    outage = causes.filter(has_text="PLATFORM_UNAVAILABLE")
    await expect(outage).to_have_count(1)
    await expect(outage).to_contain_text(f"{len(made) - 1} connectors")
    await expect(outage.get_by_text("runs catch up by themselves")).to_have_count(1)
    await picture(looks, "overview")
    await outage.get_by_text(f"Show the {len(made) - 1} connectors").click()
    links = outage.get_by_role("link", name="· Fi Money")
    await expect(links).to_have_count(len(made) - 1)
    await picture(looks, "failures")


@pytest.mark.full_only
async def test_the_list_the_connector_and_the_user(
    away: tuple[Ground, list[Json]], looks: Looking
) -> None:
    at, _ = away
    page = looks.page
    await looks.open(f"{at.stack.rest}/console/#/connectors")
    await live(page)
    rows = page.get_by_role("row")
    row = rows.filter(has_text="ravi_sharma · Fi Money")
    await expect(row).to_contain_text("Failing", timeout=SEEN)
    await expect(rows.filter(has_text="sai_iyer · Fi Money")).to_contain_text("Brings a part")
    if looks.scheme.startswith("390"):
        box = await row.bounding_box()
        assert box is not None
        assert box["height"] < 75, "a row is two lines, as a rule"
    await picture(looks, "list")
    await row.get_by_role("link").click()
    await expect(heading(page)).to_have_text("ravi_sharma · Fi Money", timeout=SEEN)
    await expect(page).to_have_title("ravi_sharma · Fi Money – Finlink console")
    await expect(page.locator(".headline")).to_contain_text("Failing")
    await page.get_by_role("heading", name="Records").click()
    await expect(
        page.get_by_role("region", name="Records").get_by_role("row").nth(1)
    ).to_be_visible()
    await page.get_by_role("heading", name="Audit trail").click()
    await expect(page.get_by_text("connector.connected").first).to_be_visible()
    await picture(looks, "connector")
    await page.get_by_role("link", name="ravi_sharma", exact=True).click()
    await expect(heading(page)).to_have_text("Ravi Sharma", timeout=SEEN)
    await expect(page.get_by_text("ravi_sharma@example.com")).to_be_visible()
    await expect(page.get_by_role("row").filter(has_text="Zerodha")).to_contain_text("Connected")
    await picture(looks, "user")


@pytest.mark.full_only
async def test_what_cannot_be_reached_is_not_known_and_is_read_again_by_itself(
    away: tuple[Ground, list[Json]], browser: Browser
) -> None:
    at, made = away
    context = await browser.new_context(viewport={"width": 800, "height": 1000})
    page: Page = await context.new_page()
    await page.goto(f"{at.stack.rest}/console/")
    await expect(heading(page)).to_have_text("1 thing to look at", timeout=SEEN)
    await context.route("**/api/**", lambda route: route.abort())
    # The stream that is open is not cut by that: another page's is.
    opened: Page = await context.new_page()
    await opened.goto(f"{at.stack.rest}/console/#/connectors/{made[1]['id']}")
    other: Page = await context.new_page()
    await other.goto(f"{at.stack.rest}/console/")
    await expect(opened.get_by_text("Finlink cannot be reached").first).to_be_visible(timeout=SEEN)
    await expect(heading(other)).to_have_text("Not known", timeout=SEEN)
    looking = Looking(other, "800-unreachable")
    await picture(looking, "unreachable")
    await context.unroute("**/api/**")
    await live(opened)
    await expect(heading(opened)).to_have_text(re.compile("Fi Money"), timeout=SEEN)
    await expect(opened.get_by_text("Finlink cannot be reached")).to_have_count(0)
    await expect(heading(other)).to_have_text("1 thing to look at", timeout=SEEN)
    await context.close()
