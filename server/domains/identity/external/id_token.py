"""ID tokens, and what must be true of one before it is believed (OpenID Connect Core 1.0, 3.1.3.7)."""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from joserfc import jwk, jws
from joserfc.errors import JoseError

from server.delivery.message import is_mailbox
from server.domains.identity.external.model import Claims, ExternalFailure
from server.domains.identity.providers import Provider

MOST_BYTES = 16 * 1024
LEEWAY = timedelta(seconds=30)
_MOST_SUB = 255
_MOST_NAME = 100
_MOST_ADDRESS = 254
# The hash of `at_hash` is that of the signature.
_HASHES = {"256": "sha256", "384": "sha384", "512": "sha512"}


class Header(msgspec.Struct, frozen=True):
    """`crit` says what must be understood; nothing of it is."""

    alg: str
    kid: str | None = None
    crit: tuple[str, ...] = ()


def read_header(token: str, algorithms: list[str]) -> Header:
    """The header of a token that names one of these algorithms; nothing is verified.

    Raises ExternalFailure.
    """
    encoded, *others = token.split(".")
    if len(others) != 2 or len(token) > MOST_BYTES:
        raise ExternalFailure("the ID token is none")
    try:
        padded = encoded.encode() + b"=" * (-len(encoded) % 4)
        header = msgspec.json.decode(urlsafe_b64decode(padded), type=Header)
    except (msgspec.MsgspecError, ValueError):
        raise ExternalFailure("the ID token's header is none") from None
    if header.alg not in algorithms or header.crit:
        raise ExternalFailure("the ID token's algorithm is not one of the provider's")
    return header


def verify(
    token: str,
    header: Header,
    key: jwk.Key,
    provider: Provider,
    nonce: str,
    access_token: str | None,
    now: datetime,
) -> Mapping[str, Any]:
    """The claims of a token that the provider has signed for this login. Raises ExternalFailure."""
    try:
        payload = jws.deserialize_compact(token, key, algorithms=[header.alg]).payload
        claims = msgspec.json.decode(payload or b"")
    except (JoseError, ValueError, UnicodeDecodeError, RecursionError):
        raise ExternalFailure("the ID token's signature is wrong") from None
    if not isinstance(claims, dict):
        raise ExternalFailure("the ID token has no claims")
    if claims.get("iss") != provider.issuer:
        raise ExternalFailure("the ID token's iss is another")
    _check_audience(claims, provider.client_id)
    _check_times(claims, now)
    if not _equal(claims.get("nonce"), nonce):
        raise ExternalFailure("the ID token's nonce is another")
    if "at_hash" in claims:
        expected = None if access_token is None else _hash(access_token, header.alg)
        if expected is None or not _equal(claims["at_hash"], expected):
            raise ExternalFailure("the ID token is of another access token")
    sub = claims.get("sub")
    if not isinstance(sub, str) or not 0 < len(sub) <= _MOST_SUB or not sub.isprintable():
        raise ExternalFailure("the ID token has no sub")
    return claims


def _check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    audience = claims.get("aud")
    listed = audience if isinstance(audience, list) else [audience]
    if client_id not in listed:
        raise ExternalFailure("the ID token is for another audience")
    if claims.get("azp", None if len(listed) > 1 else client_id) != client_id:
        raise ExternalFailure("the ID token's azp is another")


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    late, early = (now - LEEWAY).timestamp(), (now + LEEWAY).timestamp()
    if not _number(claims.get("exp")) or claims["exp"] <= late:
        raise ExternalFailure("the ID token has expired")
    if not _number(claims.get("iat")) or claims["iat"] > early:
        raise ExternalFailure("the ID token is from the future")
    if "nbf" in claims and (not _number(claims["nbf"]) or claims["nbf"] > early):
        raise ExternalFailure("the ID token does not hold yet")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(value: Any, expected: str) -> bool:
    return isinstance(value, str) and hmac.compare_digest(value.encode(), expected.encode())


def _hash(access_token: str, algorithm: str) -> str:
    """`at_hash`: the left half of a hash. EdDSA has that of its curve: SHA-512 for Ed25519."""
    digest = hashlib.new(_HASHES.get(algorithm[2:], "sha512"), access_token.encode()).digest()
    return urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def facts(claims: Mapping[str, Any]) -> Claims:
    """The facts of a user in claims; what has not the form of a fact is left out."""
    return Claims(
        sub=claims["sub"],
        email=_address(claims.get("email")),
        email_verified=claims.get("email_verified") is True,
        first_name=_name(claims.get("given_name")),
        last_name=_name(claims.get("family_name")),
    )


def _address(value: Any) -> str | None:
    """In lower case. Of ASCII alone: other letters become another's in lower case."""
    if not isinstance(value, str) or not value.isascii() or len(value) > _MOST_ADDRESS:
        return None
    return value.lower() if is_mailbox(value) and "." in value.rpartition("@")[2] else None


def _name(value: Any) -> str | None:
    right = isinstance(value, str) and 0 < len(value) <= _MOST_NAME and value.isprintable()
    return value if right else None
