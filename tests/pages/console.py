"""What tests of the console look for again and again."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Locator, Page, expect

from tests.stack import ROOT

BUILT = pytest.mark.skipif(
    not (ROOT / "console" / "dist" / "index.html").is_file(),
    reason="the console is not built: make console",
)
SEEN = 30_000  # ms; never reached unless something is broken


async def live(page: Page) -> None:
    reported = page.get_by_role("status").filter(has_text=re.compile(r"\bLive$"))
    await expect(reported).to_be_visible(timeout=SEEN)


def heading(page: Page) -> Locator:
    return page.get_by_role("heading", level=1)


def failure_of(page: Page, user_id: str) -> Locator:
    """The cause among the newest failures that a user's connector has."""
    region = page.get_by_role("region", name="Newest failures").first
    return region.locator(".causes > li").filter(has_text=user_id)


async def run_example(page: Page) -> None:
    """Paste the example that the page shows into a shell: each of its calls makes something."""
    example = (await page.locator("pre").inner_text()).replace("curl ", "curl -sS --fail ")
    done = await asyncio.create_subprocess_shell(
        f"set -e\n{example}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await done.communicate()
    assert done.returncode == 0, output
    assert output.count(b'"success":true') == example.count("curl ")
