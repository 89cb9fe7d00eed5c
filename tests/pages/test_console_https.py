"""The console over HTTPS, as in production: cookies have a prefix that browsers hold to its rules."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Response, expect

from server.core.access import Scope, digest, new_key
from tests.e2e import connector_steps as step
from tests.edge.pki import authority
from tests.pages.console import BUILT, SEEN, heading, live
from tests.pages.test_console_sign_in import PASSWORD, register, sign_in
from tests.stack import free_ports, running

pytestmark = [BUILT, pytest.mark.full_only]
SESSION, DEVICE = "__Host-finlink_session", "__Host-finlink_device"
OWN = {"x-requested-with": "a test"}
# The way of a page that has a visitor's browser make a call: no script of its own sees the reply.
SUBMIT = """
(address) => {
  const form = document.createElement("form");
  Object.assign(form, {method: "post", action: address, enctype: "text/plain"});
  document.body.append(form);
  form.submit();
}
"""


@dataclass(frozen=True)
class Secure:
    """A Finlink behind HTTPS with an admin, asha, and a connector."""

    origin: str
    connector: str

    @property
    def rest(self) -> str:
        return f"{self.origin}/api/v1"


@pytest.fixture(scope="module")
async def secure(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secure]:
    signer = authority(tmp_path_factory.mktemp("pki"), "operators")
    certificate = signer.issue("edge")
    (port,) = free_ports(1)
    origin = f"https://localhost:{port}"
    key = new_key()
    settings = {
        "PUBLIC_URL": origin,
        "TLS_PORT": str(port),
        "TLS_CERT": str(certificate.chain),
        "TLS_KEY": str(certificate.key),
        "PLAIN_HTTP": "redirect",
        "API_KEYS": f"tests:{Scope.ADMIN.name.lower()}:{digest(key)}",
        "WORKERS": "1",
    }
    trusting = ssl.create_default_context(cafile=signer.file)
    with running(tmp_path_factory.mktemp("https"), **settings) as stack:
        async with httpx.AsyncClient(
            base_url=f"{origin}/api/v1", verify=trusting, timeout=40
        ) as rest:
            await register(stack, rest, {"asha": "admin"})
            rest.headers["x-api-key"] = key
            made = await step.connect(rest, "asha")
        yield Secure(origin, made["id"])


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser that knows nobody, and takes the certificate that nobody it trusts has signed."""
    opened = await browser.new_context(ignore_https_errors=True)
    yield opened
    await opened.close()


async def cookies_of(response: Response) -> dict[str, dict[str, str]]:
    """The cookies that a reply sets, by name: their attributes, in lower case."""
    found: dict[str, dict[str, str]] = {}
    for header in await response.headers_array():
        if header["name"].lower() == "set-cookie":
            pair, *rest = header["value"].split(";")
            attributes = (each.strip().lower().partition("=") for each in rest)
            found[pair.partition("=")[0]] = {name: value for name, _, value in attributes}
    return found


async def test_signing_in_changing_something_and_signing_out(
    secure: Secure, context: BrowserContext
) -> None:
    page = await context.new_page()
    await page.goto(f"{secure.origin}/console/#/connectors/{secure.connector}")
    async with page.expect_response("**/auth/login") as answered:
        await sign_in(page, "asha")
    always = {"path": "/", "secure": "", "httponly": "", "samesite": "lax"}  # and no domain
    given = await cookies_of(await answered.value)
    ages = {name: int(attributes.pop("max-age")) for name, attributes in given.items()}
    assert given == {SESSION: always, DEVICE: always}
    assert 86_000 < ages[SESSION] <= 86_400, "a day from the login, whatever happens"
    assert ages[DEVICE] == 180 * 86_400
    await live(page)
    kept = {each["name"]: each for each in await context.cookies()}
    assert kept.keys() == {SESSION, DEVICE}
    for cookie in kept.values():
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")
        # One with a domain would begin with a dot there, and go to all hosts below it.
        assert (cookie["domain"], cookie["path"]) == ("localhost", "/")
    assert await page.evaluate("[document.cookie, isSecureContext]") == ["", True]

    async with page.expect_response("**/sync") as answered:
        await page.get_by_role("button", name="Sync now").click(timeout=SEEN)
    changed = await answered.value
    sent = await changed.request.all_headers()
    assert changed.ok
    assert SESSION in sent["cookie"]
    assert {"x-api-key", "authorization"}.isdisjoint(sent)
    assert sent["sec-fetch-site"] == "same-origin", "by which the call is known to be the console's"

    async with page.expect_response("**/auth/logout") as answered:
        await page.get_by_role("button", name="Sign out").click()
    assert await cookies_of(await answered.value) == {SESSION: {**always, "max-age": "0"}}
    await expect(heading(page)).to_have_text("Sign in", timeout=SEEN)
    assert {each["name"] for each in await context.cookies()} == {DEVICE}


async def test_only_pages_of_the_same_origin_change_anything(
    secure: Secure, context: BrowserContext
) -> None:
    """A page at another port is of the same site, so the browser sends it the cookies."""
    credentials = {"username": "asha", "password": PASSWORD, "session": "cookie"}
    login = await context.request.post(f"{secure.rest}/auth/login", data=credentials, headers=OWN)
    assert login.ok, await login.text()
    for headers, status in (({}, 403), (OWN, 200)):
        reply = await context.request.put(
            f"{secure.rest}/auth/me", data={"firstName": "Asha"}, headers=headers
        )
        assert reply.status == status, await reply.text()

    (port,) = free_ports(1)
    elsewhere = f"https://localhost:{port}/"
    await context.route(
        elsewhere, lambda route: route.fulfill(body="<p>You have won</p>", content_type="text/html")
    )
    page = await context.new_page()
    await page.goto(elsewhere)
    await (
        context.unroute_all()
    )  # headers of calls that a test may change are not those that are sent
    async with page.expect_response("**/sync") as answered:
        await page.evaluate(SUBMIT, f"{secure.rest}/connectors/{secure.connector}/sync")
    refused = await answered.value
    sent = await refused.request.all_headers()
    assert SESSION in sent["cookie"]
    assert sent["sec-fetch-site"] == "same-site"
    assert (refused.status, (await refused.json())["error"]["code"]) == (403, "CSRF_REFUSED")
