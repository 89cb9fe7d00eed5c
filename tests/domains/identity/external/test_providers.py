"""Providers as they may behave: what they publish, how they fail, and how often they are asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from server.domains.identity.external import http
from server.domains.identity.external.client import ProviderClient
from server.domains.identity.external.model import ExternalFailure, ProviderDown
from tests.domains.identity.external.scripted import Scripted, new_key
from tests.domains.identity.external.test_id_tokens import NONCE, redeemed
from tests.domains.identity.lockout.world import TurnedClock

DISCOVERY = "/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("metadata", "cause"),
    [
        ({"issuer": "https://evil.example"}, "issuer"),
        ({"token_endpoint": "file:///etc/passwd"}, "address"),
        ({"jwks_uri": "/keys"}, "address"),
        ({"userinfo_endpoint": "http://[::1"}, "address"),
        ({"token_endpoint": 7}, "token_endpoint"),
        ({"id_token_signing_alg_values_supported": ["none", "HS256"]}, "signature"),
        ({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}, "secret"),
    ],
    ids=range(7),
)
async def test_a_document_that_is_wrong(
    provider: Scripted, client: ProviderClient, metadata: dict[str, Any], cause: str
) -> None:
    provider.metadata = metadata
    with pytest.raises(ExternalFailure, match=cause):
        await client.metadata()


@pytest.mark.parametrize("path", [DISCOVERY, "/token", "/keys", "/user"])
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (web.Response(status=500), ProviderDown),
        (web.Response(status=429), ProviderDown),
        (web.Response(status=302, headers={"location": "http://127.0.0.1:1/"}), ExternalFailure),
        (web.Response(status=200, body=b"<html>"), ExternalFailure),
        (web.Response(status=200, body=b"[]"), ExternalFailure),
        (web.Response(status=200, body=b"[" * 100_000), ExternalFailure),
        (web.Response(status=200, body=b" " * (http.MOST_BYTES + 1)), ExternalFailure),
        (web.Response(status=403, body=b"{}"), ExternalFailure),
    ],
    ids=["500", "429", "redirect", "html", "list", "deep", "large", "403"],
)
async def test_a_call_that_fails(
    provider: Scripted,
    client: ProviderClient,
    path: str,
    reply: web.Response,
    error: type[Exception],
) -> None:
    provider.signs(NONCE)
    provider.said[path] = reply
    with pytest.raises(error):
        await redeemed(client)


async def test_a_provider_that_is_not_there(client: ProviderClient, provider: Scripted) -> None:
    provider.metadata = {"token_endpoint": "http://127.0.0.1:1/token"}
    with pytest.raises(ProviderDown, match="ClientConnectorError"):
        await redeemed(client)


async def test_one_that_does_not_respond_in_time(provider: Scripted) -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    ended = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    asked = http.ProviderHttp(only_https=False, seconds=0.1)
    try:
        host, port = server.sockets[0].getsockname()
        with pytest.raises(ProviderDown, match="Timeout"):
            await asked.get(f"http://{host}:{port}/", "the keys")
    finally:
        await asked.aclose()
        ended.set()
        server.close()
        await server.wait_closed()


async def test_a_refusal_is_logged_in_known_words_only(
    provider: Scripted, client: ProviderClient
) -> None:
    provider.said["/token"] = web.json_response({"error": "s ecret:%"}, status=400)
    with pytest.raises(ExternalFailure) as caught:
        await redeemed(client)
    assert "s ecret" not in str(caught.value)


async def test_the_secret_goes_where_the_provider_takes_it(
    provider: Scripted, client: ProviderClient, clock: TurnedClock
) -> None:
    provider.signs(NONCE)
    await redeemed(client)
    assert "client_secret" not in provider.forms[-1]
    assert provider.headers[-1]["authorization"] == "Basic ZmlubGluazpzK2VjcmV0JTNBJTI1"
    clock.turn(hours=1)
    provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    provider.signs(NONCE, exp=int(clock.now().timestamp()) + 60)
    await redeemed(client)
    assert provider.forms[-1]["client_secret"] == "s ecret:%"
    assert "authorization" not in provider.headers[-1]


async def test_keys_that_are_not_known_are_fetched_once_a_minute(
    provider: Scripted, client: ProviderClient, clock: TurnedClock
) -> None:
    provider.signs(NONCE)
    await redeemed(client)
    provider.key = new_key("second")
    provider.signs(NONCE, exp=int(clock.now().timestamp()) + 7_200)
    for _ in range(3):
        with pytest.raises(ExternalFailure, match="key"):
            await redeemed(client)
    assert provider.asked.count("/keys") == 1
    clock.turn(seconds=61)
    found = await asyncio.gather(*(redeemed(client) for _ in range(5)))
    assert {each.sub for each in found} == {"somebody"}
    assert provider.asked.count("/keys") == 2

    provider.key = new_key("third")  # the second is dropped
    clock.turn(minutes=59)
    await redeemed(client)
    clock.turn(minutes=1)
    provider.signs(NONCE, exp=int(clock.now().timestamp()) + 60)
    await redeemed(client)
    assert provider.asked.count("/keys") == 3


async def test_one_document_is_read_for_all_who_ask(
    provider: Scripted, client: ProviderClient, clock: TurnedClock
) -> None:
    provider.said[DISCOVERY] = web.Response(status=500)
    failed = await asyncio.gather(*(client.metadata() for _ in range(5)), return_exceptions=True)
    assert all(isinstance(each, ProviderDown) for each in failed)
    del provider.said[DISCOVERY]
    await asyncio.gather(*(client.metadata() for _ in range(5)))
    assert provider.asked.count(DISCOVERY) == 2
    clock.turn(hours=1)
    await client.metadata()
    assert provider.asked.count(DISCOVERY) == 3


@pytest.mark.parametrize(
    ("is_sent", "issuer", "right"),
    [
        (True, "own", True),
        (True, None, False),
        (True, "https://evil.example", False),
        (False, None, True),
        (False, "own", True),
        (False, "https://evil.example", False),
    ],
)
async def test_the_issuer_of_the_reply(
    provider: Scripted, client: ProviderClient, is_sent: bool, issuer: str | None, right: bool
) -> None:
    provider.metadata = {"authorization_response_iss_parameter_supported": is_sent}
    said = provider.issuer if issuer == "own" else issuer
    if right:
        await client.check_issuer(said)
        return
    with pytest.raises(ExternalFailure, match="iss"):
        await client.check_issuer(said)
