"""ID tokens as a provider may send them: which one is believed, and what is believed of it."""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from joserfc import jwk

from server.domains.identity.external.client import ProviderClient
from server.domains.identity.external.model import Claims, ExternalFailure
from tests.domains.identity.external.scripted import Scripted, new_key

NOW = int(time.time())
NONCE = "n" * 43


async def redeemed(client: ProviderClient) -> Claims:
    there = await client.redeem("code", "https://app.example/callback", NONCE, "v" * 43)
    return await client.facts(there)


async def test_one_that_is_right(provider: Scripted, client: ProviderClient) -> None:
    digest = hashlib.sha256(b"access").digest()[:16]
    provider.signs(
        NONCE,
        aud=["finlink", "another"],
        azp="finlink",
        at_hash=urlsafe_b64encode(digest).rstrip(b"=").decode(),
        sub="auth0|1",
        email="Asha@Example.com",
        email_verified=True,
        given_name="Asha",
        family_name="R" * 101,
    )
    assert await redeemed(client) == Claims("auth0|1", "asha@example.com", True, "Asha", None)


@pytest.mark.parametrize(
    ("claims", "cause"),
    [
        ({"iss": "https://evil.example"}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": "another"}, "audience"),
        ({"aud": None}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": ["finlink", "another"]}, "azp"),
        ({"azp": "another"}, "azp"),
        ({"nonce": "m" * 43}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": 1}, "nonce"),
        ({"exp": NOW - 300}, "expired"),
        ({"exp": None}, "expired"),
        ({"exp": True}, "expired"),
        ({"iat": NOW + 3_600}, "future"),
        ({"iat": None}, "future"),
        ({"nbf": NOW + 3_600}, "not hold yet"),
        ({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "access token"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": 7}, "sub"),
        ({"sub": "x" * 256}, "sub"),
        ({"sub": "a\nb"}, "sub"),
        ({"header": {"kid": "unknown"}}, "key"),
        ({"key": new_key("first")}, "signature"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
async def test_one_that_is_wrong(
    provider: Scripted, client: ProviderClient, claims: dict[str, Any], cause: str
) -> None:
    provider.signs(NONCE, **claims)
    with pytest.raises(ExternalFailure, match=cause):
        await redeemed(client)


@pytest.mark.parametrize(
    "attack", ["none", "hs256-public-key", "crit", "two-parts", "huge", "no-token"]
)
async def test_one_that_is_forged(provider: Scripted, client: ProviderClient, attack: str) -> None:
    signed = provider.id_token(NONCE)
    _, payload, _ = signed.split(".")
    header = {"none": b'{"alg":"none"}', "crit": b'{"alg":"ES256","kid":"first","crit":["b64"]}'}
    tokens = {name: f"{_encoded(value)}.{payload}.AA" for name, value in header.items()}
    head = _encoded(b'{"alg":"HS256","kid":"first"}')
    unsigned = f"{head}.{payload}"
    assert not isinstance(provider.key, jwk.OctKey)
    mac = hmac.digest(provider.key.as_pem(private=False), unsigned.encode(), "sha256")
    tokens |= {
        "hs256-public-key": f"{unsigned}.{_encoded(mac)}",
        "two-parts": f"{payload}.{payload}",
        "huge": f"{signed}{'A' * 20_000}",
    }
    token = tokens.get(attack)
    provider.reply = {"access_token": "access"} | ({"id_token": token} if token else {})
    with pytest.raises(ExternalFailure):
        await redeemed(client)


@pytest.mark.parametrize(
    ("algorithm", "kind"), [("RS256", "RSA"), ("PS256", "RSA"), ("Ed25519", "OKP")]
)
async def test_other_algorithms_that_the_provider_lists(
    provider: Scripted, client: ProviderClient, algorithm: str, kind: str
) -> None:
    provider.key, provider.algorithm = new_key("other", kind), algorithm
    provider.signs(NONCE)
    assert (await redeemed(client)).sub == "somebody"


async def test_an_algorithm_that_it_does_not_list(
    provider: Scripted, client: ProviderClient
) -> None:
    await client.metadata()
    provider.key, provider.algorithm = new_key("first", "RSA"), "RS256"
    provider.signs(NONCE)
    with pytest.raises(ExternalFailure, match="algorithm"):
        await redeemed(client)


@pytest.mark.parametrize(
    ("claims", "email", "verified"),
    [
        ({"email": "a@b.example", "email_verified": True}, "a@b.example", True),
        ({"email": "a@b.example", "email_verified": "true"}, "a@b.example", False),
        ({"email": "a@b.example", "email_verified": 1}, "a@b.example", False),
        ({"email": "a@b.example"}, "a@b.example", False),
        ({"email": "a@b", "email_verified": True}, None, True),
        ({"email": "a@b.example, c@d.example", "email_verified": True}, None, True),
        ({"email": "\u212aim@b.example", "email_verified": True}, None, True),  # Kelvin, not k
        ({"email": ["a@b.example"], "email_verified": True}, None, True),
        ({"email": f"{'a' * 250}@b.example", "email_verified": True}, None, True),
    ],
    ids=range(9),
)
async def test_what_is_believed_of_an_address(
    provider: Scripted,
    client: ProviderClient,
    claims: dict[str, Any],
    email: str | None,
    verified: bool,
) -> None:
    provider.signs(NONCE, **claims)
    found = await redeemed(client)
    assert (found.email, found.email_verified) == (email, verified)


async def test_facts_that_are_given_elsewhere(provider: Scripted, client: ProviderClient) -> None:
    provider.signs(NONCE)
    provider.said["/user"] = {
        "sub": "somebody", "email": "a@b.example", "email_verified": True, "iss": "x",
    }  # fmt: skip
    assert (await redeemed(client)).email == "a@b.example"
    provider.said["/user"] = {"sub": "another", "email": "a@b.example"}
    with pytest.raises(ExternalFailure, match="another user"):
        await redeemed(client)


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
