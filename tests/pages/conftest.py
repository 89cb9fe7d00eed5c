"""A real browser for the pages that Envoy serves, where there is a Chromium."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.chaos.ground import Ground, ground
from tests.pages.looking import Looking

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="package")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A Finlink beside a sandbox whose calls can be held."""
    with ground(tmp_path_factory.mktemp("console")) as at:
        yield at


@pytest.fixture(scope="package")
async def browser() -> AsyncIterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"there is no browser: none of {', '.join(PROGRAMS)} on PATH")
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield opened
        await opened.close()


@pytest.fixture(params=["light", "dark"])
async def looking(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Looking]:
    """A fresh page, at full length in both colour schemes. At the end it must have had no complaint."""
    if request.param == "dark" and not request.config.getoption("--full"):
        pytest.skip("make test-pages runs it")
    context = await browser.new_context(
        color_scheme=request.param, viewport={"width": 1280, "height": 900}
    )
    page: Page = await context.new_page()
    looks = Looking(page, request.param)
    yield looks
    await context.close()
    assert looks.complaints == []
