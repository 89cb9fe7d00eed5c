from __future__ import annotations

import pytest

from server.platforms.base import (
    CredentialsRefused,
    PlatformDataError,
    PlatformError,
    PlatformUnavailable,
)
from server.platforms.login_driver import LoginDriver
from tests.platforms.scripted import Line, Say, ScriptedServer

FORM = b"""<form method="post" action="/login">
<input type="hidden" name="sessionId" value="s&amp;1"><input name="phoneNumber">
<input type="tel" name="otp"><button>Log in</button></form>"""
PAGE = Say(body=FORM, headers={"Content-Type": "text/html"})


@pytest.mark.parametrize(
    "urls",
    [
        ("https://api.kite.trade",),
        ("http://localhost:1", "https://mcp.fi.money:8080/mcp/stream"),
        ("http://localhost.example.com",),
        (),
    ],
)
def test_it_works_on_this_machine_only(urls: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="loopback"):
        LoginDriver(*urls)


async def test_it_opens_no_page_elsewhere() -> None:
    with pytest.raises(PlatformDataError):
        await LoginDriver("http://localhost").log_in("http://192.0.2.1/login", "mira", "pw")


async def test_it_posts_to_no_form_elsewhere() -> None:
    elsewhere = Say(body=FORM.replace(b"/login", b"http://192.0.2.1/login"))
    async with ScriptedServer(elsewhere) as server:
        with pytest.raises(PlatformDataError):
            await LoginDriver(server.url).log_in(server.url, "mira", "pw")
    assert len(server.asked) == 1


async def test_it_fills_in_the_form() -> None:
    async with ScriptedServer(PAGE, Say()) as server:
        await LoginDriver(server.url).log_in(f"{server.url}/page?sessionId=1", "99999", "4321")
    assert (server.asked[1].method, server.asked[1].target) == ("POST", "/login")
    assert server.asked[1].form == {"sessionId": "s&1", "phoneNumber": "99999", "otp": "4321"}


async def test_it_reads_what_the_app_is_handed_and_goes_no_further() -> None:
    app = Say(302, headers={"Location": "https://app.example.com/back?a=1&request_token=rt1"})
    async with ScriptedServer(PAGE, app) as server:
        driver = LoginDriver(server.url)
        handed = await driver.log_in(f"{server.url}/connect/login", "QX1", "pw")
    assert handed == {"a": "1", "request_token": "rt1"}
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ((PAGE, Say(403)), CredentialsRefused),
        ((PAGE, Say(400)), CredentialsRefused),
        ((PAGE, Say(500)), PlatformDataError),
        ((PAGE, Say(302, headers={"Location": "http://["})), PlatformDataError),
        ((Say(200, b"<p>Closed"),), PlatformDataError),
        ((Say(404, FORM),), PlatformDataError),
        ((PAGE, Say(200, b"x" * 9, cut=1)), PlatformUnavailable),
    ],
)
async def test_a_login_that_fails(script: tuple[Line, ...], error: type[PlatformError]) -> None:
    async with ScriptedServer(*script) as server:
        with pytest.raises(error) as caught:
            await LoginDriver(server.url).log_in(server.url, "mira", "hunter2")
    assert "hunter2" not in str(caught.value)
