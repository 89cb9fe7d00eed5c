"""A page under test: what it complains of, whom it asks, whether everybody can use it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import ConsoleMessage, Page, Request

GRAVE = {"serious", "critical"}
# `document.getAnimations` leaves out what is in shadow roots, which is all of `/docs`.
END_ANIMATIONS = """
async () => {
  const roots = (root) => [
    root,
    ...Array.from(root.querySelectorAll("*"), (each) => each.shadowRoot).filter(Boolean).flatMap(roots),
  ];
  const running = () => roots(document).flatMap((root) => root.getAnimations());
  await Promise.allSettled(running().map((each) => each.finished));
}
"""


class Looking:
    """Notes every error on the console, every fault of a script, every request to another host."""

    def __init__(self, page: Page, scheme: str) -> None:
        self.page = page
        self.scheme = scheme
        self.complaints: list[str] = []
        self._hosts: set[str] = set()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"fault: {error}"))
        page.on("request", self._request)

    async def open(self, address: str) -> None:
        """Go to a page; from then on only its host may be asked."""
        self._hosts.add(urlsplit(address).netloc)
        reply = await self.page.goto(address)
        assert reply is not None
        assert reply.ok, reply.status

    async def assert_accessible(self, *, but: str | None = None) -> None:
        """axe finds nothing serious in the page, leaving out what a selector names.

        What fades in has little contrast until it is there.
        """
        await self.page.evaluate(END_ANIMATIONS)
        context = None if but is None else {"include": [["body"]], "exclude": [[but]]}
        found = (await Axe().run(self.page, context=context)).response["violations"]
        grave = {
            violation["id"]: [node["html"][:200] for node in violation["nodes"]]
            for violation in found
            if violation["impact"] in GRAVE
        }
        assert not grave, grave

    async def picture(self, folder: Path, name: str) -> None:
        await self.page.screenshot(path=folder / f"{name}-{self.scheme}.png")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme.startswith("http") and parts.netloc not in self._hosts:
            self.complaints.append(f"asks {parts.netloc}")
