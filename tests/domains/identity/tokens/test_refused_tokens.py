"""Everything that is no access token of this Finlink is refused with one message."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from operator import methodcaller
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from server.core.errors import TokenExpired, Unauthenticated
from server.domains.identity.tokens.access_tokens import MAX_BYTES
from server.storage.driver import Database
from tests.domains.identity.tokens.workers import (
    ASHA,
    ISSUER,
    LIFE,
    Json,
    TurnableClock,
    Worker,
    encoded,
    parts,
    private_jwk,
    signed,
    worker,
)


@dataclass
class Forge:
    """A good token, and the key that signed it."""

    token: str
    header: Json
    claims: Json
    key: Any

    def with_header(self, *without: str, **changes: object) -> str:
        header = {**self.header, **changes}
        return signed({k: v for k, v in header.items() if k not in without}, self.claims, self.key)

    def with_payload(self, *without: str, **changes: object) -> str:
        claims = {**self.claims, **changes}
        return signed(self.header, {k: v for k, v in claims.items() if k not in without}, self.key)

    def of_size(self, most: int) -> str:
        """A good one with a claim that fills it, as long as it can be."""
        size = most
        while len(token := self.with_payload(filled="x" * size)) > most:
            size -= 1
        return token


@pytest.fixture
def trusting(database: Database, clock: TurnableClock) -> Worker:
    return worker(database, clock)


@pytest.fixture
async def forge(trusting: Worker) -> Forge:
    token = await trusting.issue()
    header, claims = parts(token)
    key = jwt.PyJWK.from_dict(await private_jwk(trusting, header["kid"]), "ES256").key
    return Forge(token, header, claims, key)


async def test_what_is_made_by_hand_is_accepted_if_nothing_is_wrong(
    trusting: Worker, forge: Forge
) -> None:
    """Otherwise all below would be refused for another reason than its name says."""
    for token in (
        forge.token, forge.with_header(), forge.with_payload(), forge.of_size(MAX_BYTES),
        forge.with_payload(later="claims of a later version are no reason"),
        forge.with_payload(nbf=forge.claims["iat"]),
    ):  # fmt: skip
        assert (await trusting.tokens.by_token(token)).user == ASHA.user


def _public_pem(forge: Forge) -> bytes:
    public: bytes = forge.key.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    return public


def _by_public_key(forge: Forge) -> str:
    """The public key as the secret of HS256, which PyJWT itself would not sign with."""
    text = f"{encoded({**forge.header, 'alg': 'HS256'})}.{encoded(forge.claims)}"
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return f"{text}.{encoded(algorithm.sign(text.encode(), _public_pem(forge)))}"


def _altered(token: str, part: int, change: Callable[[Json], Json]) -> str:
    pieces = token.split(".")
    pieces[part] = encoded(change(parts(token)[part]))
    return ".".join(pieces)


_STRANGER = ec.generate_private_key(ec.SECP256R1())
_RSA = rsa.generate_private_key(65537, 2048)
_JWK = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(_STRANGER.public_key()))
_NEVER = "eyJhbGciOiJub25lIn0"
CLAIMS = ("iss", "aud", "sub", "userId", "sid", "role", "amr", "auth_time", "iat", "exp")

REFUSED: dict[str, Callable[[Forge], str]] = {
    "nothing": lambda _: "",
    "a word": lambda _: "token",
    "three words": lambda _: "a.b.c",
    "two parts": lambda f: f.token.rpartition(".")[0],
    "no signature": lambda f: f.token.rpartition(".")[0] + ".",
    "a fourth part": lambda f: f.token + ".x",
    "a line feed": lambda f: f.token + "\n",
    "padding": lambda f: f.token + "=",
    "base64 with other letters": lambda f: "+" + f.token,
    "no ASCII": lambda f: f.token[:-1] + "é",
    "half a character": lambda f: f.token[:-1] + "\ud800",
    "JSON serialization": lambda f: json.dumps(
        dict(zip(("protected", "payload", "signature"), f.token.split("."), strict=True))
    ),
    "too long": lambda f: f.of_size(MAX_BYTES + 3),
    "a refresh token": lambda _: "flr_" + "A" * 80,
    "an ID token": lambda f: signed(
        {**f.header, "typ": "JWT"},
        {"iss": ISSUER, "aud": "finlink", "sub": ASHA.user, "iat": 1, "exp": 2**32, "nonce": "n"},
        f.key,
    ),
    "claims of an ID token": lambda f: signed(
        f.header, {"iss": ISSUER, "aud": "finlink", "sub": ASHA.user, "iat": 1, "exp": 2**32}, f.key
    ),
    "alg none": lambda f: f"{encoded({**f.header, 'alg': 'none'})}.{encoded(f.claims)}.",
    "alg none, signed": lambda f: signed({**f.header, "alg": "none"}, f.claims, f.key),
    "alg None": lambda f: signed({**f.header, "alg": "None"}, f.claims, f.key),
    "alg missing": lambda f: f.with_header("alg"),
    "the public key as the secret of HS256": _by_public_key,
    "alg of another kind of key": lambda f: signed({**f.header, "alg": "RS256"}, f.claims, _RSA, "RS256"),
    "alg of another curve": lambda f: f.with_header(alg="ES384"),
    "a signature of another kind of key": lambda f: signed(f.header, f.claims, _RSA, "RS256"),
    "a stranger's key": lambda f: signed(f.header, f.claims, _STRANGER),
    "a stranger's kid": lambda f: signed({**f.header, "kid": "stranger"}, f.claims, _STRANGER),
    "kid missing": lambda f: f.with_header("kid"),
    "kid a number": lambda f: f.with_header(kid=1),
    "kid a path": lambda f: f.with_header(kid="../../dev/null"),
    "typ missing": lambda f: f.with_header("typ"),
    "typ of an ID token": lambda f: f.with_header(typ="JWT"),
    "typ null": lambda f: f.with_header(typ=None),
    "jku": lambda f: f.with_header(jku=f"{ISSUER}/jwks.json"),
    "x5u": lambda f: f.with_header(x5u=f"{ISSUER}/chain.pem"),
    "x5c": lambda f: f.with_header(x5c=["MIIB"]),
    "jwk": lambda f: f.with_header(jwk=_JWK),
    "a stranger's jwk": lambda f: signed({**f.header, "jwk": _JWK}, f.claims, _STRANGER),
    "crit": lambda f: f.with_header(crit=["exp"], exp=2**32),
    "crit empty": lambda f: f.with_header(crit=[]),
    "b64": lambda f: f.with_header(b64=False, crit=["b64"]),
    "zip": lambda f: f.with_header(zip="DEF"),
    "a header of another token": lambda f: f"{_NEVER}.{f.token.partition('.')[2]}",
    "another role": lambda f: _altered(f.token, 1, lambda claims: {**claims, "role": "admin"}),
    "another user": lambda f: _altered(f.token, 1, lambda claims: {**claims, "sub": "someone"}),
    "no claims": lambda f: signed(f.header, b"", f.key),
    "claims that are no object": lambda f: signed(f.header, b"[]", f.key),
    "claims that are no JSON": lambda f: signed(f.header, b"claims", f.key),
    "iss of another": lambda f: f.with_payload(iss="https://elsewhere.example"),
    "iss with a path": lambda f: f.with_payload(iss=f"{ISSUER}/"),
    "aud of another": lambda f: f.with_payload(aud="elsewhere"),
    "aud of several": lambda f: f.with_payload(aud=["finlink", "elsewhere"]),
    **{f"{name} missing": methodcaller("with_payload", name) for name in CLAIMS},
    "role unknown": lambda f: f.with_payload(role="owner"),
    "exp a text": lambda f: f.with_payload(exp="4102444800"),
    "exp null": lambda f: f.with_payload(exp=None),
    "nbf in the future": lambda f: f.with_payload(nbf=f.claims["iat"] + 120),
    "iat in the future": lambda f: f.with_payload(iat=f.claims["iat"] + 120),
    "expired, of another": lambda f: f.with_payload(exp=1, iss="https://elsewhere.example"),
    "expired, by a stranger": lambda f: signed(f.header, {**f.claims, "exp": 1}, _STRANGER),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_access_token_is_refused(
    trusting: Worker, forge: Forge, name: str
) -> None:
    token = REFUSED[name](forge)
    assert token != forge.token
    for look in (trusting.tokens.by_token, trusting.tokens.signed_by_finlink):
        with pytest.raises(Unauthenticated) as caught:
            await look(token)
        assert caught.value.message == "The access token is not valid"


@pytest.mark.parametrize(
    ("after", "accepted"),
    [
        (LIFE - timedelta(seconds=2), True),
        (LIFE + timedelta(seconds=28), True),
        (LIFE + timedelta(seconds=31), False),
        (LIFE + timedelta(days=1), False),
    ],
)
@pytest.mark.parametrize("seen_before", [True, False])
async def test_a_token_expires_with_some_leeway(
    trusting: Worker, clock: TurnableClock, after: timedelta, accepted: bool, seen_before: bool
) -> None:
    token = await trusting.issue()
    if seen_before:
        await trusting.tokens.by_token(token)
    clock.turn(after)
    look: Awaitable[object] = trusting.tokens.by_token(token)
    if accepted:
        await look
        return
    with pytest.raises(TokenExpired):
        await look
    assert (await trusting.tokens.signed_by_finlink(token)).session_id == ASHA.session_id


async def test_clocks_of_hosts_may_differ_by_the_leeway(
    trusting: Worker, clock: TurnableClock
) -> None:
    clock.turn(timedelta(seconds=25))
    from_ahead = await trusting.issue()
    clock.turn(timedelta(0))
    await trusting.tokens.by_token(from_ahead)


@pytest.mark.parametrize("algorithm", ["RS256", "HS256"])
async def test_tokens_of_another_algorithm_are_refused(
    database: Database, clock: TurnableClock, trusting: Worker, algorithm: str
) -> None:
    other = worker(database, clock, jwt_algorithm=algorithm, jwt_secret="k" * 32)
    for one, another in ((trusting, other), (other, trusting)):
        with pytest.raises(Unauthenticated):
            await one.tokens.by_token(await another.issue())
