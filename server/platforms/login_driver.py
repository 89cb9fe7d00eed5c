"""Fills in the sandbox's login pages, so that a login needs no browser in development and tests.

It sends a user name and a password to the page that it gets. That is why it refuses
every address but this machine's own, when it is made and again for each page.
"""

from collections.abc import Mapping
from html.parser import HTMLParser

import aiohttp
from yarl import URL

from server.platforms.base import CredentialsRefused, PlatformDataError
from server.platforms.http import CALL_SECONDS, once, transport_error
from server.security.outgoing import is_loopback

_SANDBOX = "The sandbox login page"
_SECRET_FIELDS = ("otp", "pass", "pin")


class LoginDriver:
    def __init__(self, *base_urls: str) -> None:
        """`base_urls`: the addresses of the platforms to log in to.

        Raises ValueError where one is not on this machine.
        """
        if not base_urls or not all(is_loopback(url) for url in base_urls):
            raise ValueError("the login driver works on loopback addresses only")

    async def log_in(self, login_url: str, username: str, password: str) -> Mapping[str, str]:
        """Log in at a login page; what it hands to the app by a redirect, if it redirects."""
        reply = await self._log_in(login_url, username, password)
        if not 300 <= reply.status < 400:
            return {}
        try:
            # The redirect is the app's own address: it is read, not followed.
            return dict(URL(reply.headers.get("location", "")).query)
        except ValueError:
            raise PlatformDataError(f"{_SANDBOX} redirects to no address") from None

    async def _log_in(self, login_url: str, username: str, password: str) -> aiohttp.ClientResponse:
        if not is_loopback(login_url):
            raise PlatformDataError(f"{_SANDBOX} is not on this machine")
        try:
            # A client of its own, gone afterwards: its cookies belong to this login.
            async with (
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(CALL_SECONDS),
                    cookie_jar=aiohttp.CookieJar(unsafe=True),  # also those of a numeric address
                    middlewares=(once,),
                ) as browser,
                browser.get(login_url, allow_redirects=False) as page,
            ):
                form = _Form(await page.text())
                target = page.url.join(URL(form.action))
                if page.status != 200 or not form.fields or not is_loopback(str(target)):
                    raise PlatformDataError(f"{_SANDBOX} shows no form ({page.status})")
                filled_in = form.filled_in(username, password)
                async with browser.post(target, data=filled_in, allow_redirects=False) as reply:
                    await reply.read()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise transport_error(_SANDBOX, error) from None
        if reply.status == 403:
            raise CredentialsRefused("The platform refuses the password", "password")
        if 400 <= reply.status < 500:
            raise CredentialsRefused("The platform refuses the user name", "username")
        if reply.status >= 500:
            raise PlatformDataError(f"{_SANDBOX} returned {reply.status}")
        return reply


class _Form(HTMLParser):
    """The first form of a page: where it goes and which fields it has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: list[Mapping[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.action:
            self.action = given.get("action", "")
        elif tag == "input" and given.get("name"):
            self.fields.append(given)

    def filled_in(self, username: str, password: str) -> dict[str, str]:
        return {given["name"]: _value(given, username, password) for given in self.fields}


def _value(given: Mapping[str, str], username: str, password: str) -> str:
    if given.get("type") == "hidden":
        return given.get("value", "")
    is_secret = given.get("type") == "password" or any(
        part in given["name"].lower() for part in _SECRET_FIELDS
    )
    return password if is_secret else username
