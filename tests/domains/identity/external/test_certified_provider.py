"""Users who come by a certified OpenID provider, where Node is: PKCE, `iss` in its reply, userinfo."""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import httpx
import pytest

from tests.e2e.external_steps import began, completed
from tests.e2e.identity_steps import Json, bearer, refused
from tests.openapi.generators.environments import node_modules
from tests.providers import CLIENT_SECRET, REDIRECT, settings
from tests.stack import Stack, free_ports, running

HERE = Path(__file__).parent
NAME = "certified"

pytestmark = pytest.mark.full_only


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where the provider listens."""
    modules, (port,) = node_modules("oidc_provider", HERE), free_ports(1)
    program = str(HERE / "oidc_provider" / "provider.mjs")
    process = subprocess.Popen(
        ["node", program, str(modules), str(port), CLIENT_SECRET, REDIRECT],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait(f"http://127.0.0.1:{port}/.well-known/openid-configuration")
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait(address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(address).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"{address} does not respond")


@pytest.fixture(scope="module")
def finlink(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("certified"), **settings({NAME: port})) as started:
        yield started


@pytest.fixture
async def client(finlink: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{finlink.rest}/api/v1", timeout=30) as opened:
        yield opened


async def sign_in(authorization_url: str, name: str) -> dict[str, str]:
    """The provider's pages, as a browser goes through them: login, consent, and back."""
    forms = [{"prompt": "login", "login": name, "password": "any"}, {"prompt": "consent"}]
    async with httpx.AsyncClient() as browser:
        reply = await browser.get(authorization_url)
        while True:
            while reply.is_redirect:
                target = urljoin(str(reply.url), reply.headers["location"])
                if target.startswith(REDIRECT):
                    return dict(parse_qsl(urlsplit(target).query))
                reply = await browser.get(target)
            action = re.search(r'action="([^"]+)"', reply.text)
            assert action is not None, reply.text
            reply = await browser.post(urljoin(str(reply.url), action[1]), data=forms.pop(0))


async def came(client: httpx.AsyncClient, name: str, **changes: str) -> httpx.Response:
    begun = await began(client, NAME)
    answer = await sign_in(begun["authorizationUrl"], name)
    sent: Json = {"iss": answer["iss"], **changes}
    return await completed(client, NAME, begun, answer, **sent)


async def test_a_stranger_becomes_a_user_who_comes_again(client: httpx.AsyncClient) -> None:
    replies = [await came(client, "asha") for _ in range(2)]
    users = []
    for reply in replies:
        assert reply.status_code == 200, reply.text
        me = await client.get("/auth/me", headers=bearer(reply.json()["data"]))
        users.append(me.json()["data"])
    assert users[0]["userId"] == users[1]["userId"]
    assert (users[0]["email"], users[0]["emailVerified"]) == ("asha@example.com", True)
    assert users[0]["name"] == "Asha Rao"


async def test_a_reply_without_its_issuer_is_refused(client: httpx.AsyncClient) -> None:
    begun = await began(client, NAME)
    answer = await sign_in(begun["authorizationUrl"], "ravi")
    refused(await completed(client, NAME, begun, answer), 401, "EXTERNAL_LOGIN_FAILED")
    other = await came(client, "ravi", iss="http://127.0.0.1:1")
    refused(other, 401, "EXTERNAL_LOGIN_FAILED")


async def test_two_calls_at_once_are_one_login(client: httpx.AsyncClient) -> None:
    begun = await began(client, NAME)
    answer = await sign_in(begun["authorizationUrl"], "meera")
    calls = [completed(client, NAME, begun, answer, iss=answer["iss"]) for _ in range(4)]
    replies = await asyncio.gather(*calls)
    assert sorted(reply.status_code for reply in replies) == [200, 401, 401, 401]


async def test_a_code_is_good_for_its_own_challenge_alone(client: httpx.AsyncClient) -> None:
    """The provider itself refuses a code whose login had another PKCE challenge."""
    begun = await began(client, NAME)
    parts = urlsplit(begun["authorizationUrl"])
    query = dict(parse_qsl(parts.query)) | {"code_challenge": "x" * 43}
    answer = await sign_in(urlunsplit(parts._replace(query=urlencode(query))), "kiran")
    reply = await completed(client, NAME, begun, answer, iss=answer["iss"])
    refused(reply, 401, "EXTERNAL_LOGIN_FAILED")
