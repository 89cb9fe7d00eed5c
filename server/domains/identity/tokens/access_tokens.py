"""Access tokens as text: a JWS with the header `typ`, `alg`, `kid` and the claims of `_Payload`."""

import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec
import structlog
from joserfc import jws
from joserfc.errors import JoseError

from server.core.errors import Unauthenticated
from server.core.principals import Role
from server.domains.identity.tokens.model import LEEWAY, Facts, TokenBearer
from server.domains.identity.tokens.signing_keys import SigningKey

MAX_BYTES = 4096
TYPE = "at+jwt"
# As base64url is written, and no other way: one token has one text.
_COMPACT = re.compile(rb"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

_log = structlog.stdlib.get_logger("finlink.identity")


def refused(reason: str) -> Unauthenticated:
    """The one error of all that is no access token: callers do not hear the reason, the log does."""
    _log.debug("access token refused", reason=reason)
    return Unauthenticated("The access token is not valid")


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    """Others refuse a token, among them `jku`, `x5u`, `jwk` and `crit`: Finlink's own have no others."""

    typ: str
    alg: str
    kid: str


class _Payload(msgspec.Struct):
    iss: str
    aud: str
    sub: str
    user_id: str = msgspec.field(name="userId")
    sid: str
    role: Literal["user", "moderator", "admin"]
    amr: tuple[str, ...]
    auth_time: int
    iat: float  # with milliseconds, so that a token from before a change is known as one
    exp: int
    nbf: float = 0.0  # Finlink's own have none


_HEADER = msgspec.json.Decoder(_Header)
_PAYLOAD = msgspec.json.Decoder(_Payload)


@dataclass(frozen=True, slots=True)
class TokenForm:
    """Writes and reads the tokens of one Finlink."""

    issuer: str
    audience: str
    life: timedelta

    def write(self, facts: Facts, issued_at: datetime, key: SigningKey) -> str:
        header = {"typ": TYPE, "alg": key.algorithm, "kid": key.id}
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": facts.user,
            "userId": facts.user_id,
            "sid": facts.session_id,
            "role": facts.role.name.lower(),
            "amr": facts.amr,
            "auth_time": int(facts.auth_time.timestamp()),
            "iat": round(issued_at.timestamp(), 3),
            "exp": int(issued_at.timestamp()) + int(self.life.total_seconds()),
        }
        return jws.serialize_compact(
            header, msgspec.json.encode(claims), key.key, algorithms=[key.algorithm]
        )

    def key_id(self, token: bytes, algorithm: str) -> str:
        """The `kid` of a token that names this algorithm; nothing is verified. Raises Unauthenticated."""
        parts = _COMPACT.fullmatch(token)
        if parts is None:
            raise refused("form")
        encoded = parts[1]
        try:
            header = _HEADER.decode(urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4)))
        except (msgspec.MsgspecError, ValueError):
            raise refused("header") from None
        if header.typ != TYPE:
            raise refused("typ")
        if header.alg != algorithm:
            raise refused("alg")
        return header.kid

    def read(self, token: bytes, key: SigningKey, now: datetime) -> TokenBearer:
        """The content of a token that `key` has signed for this Finlink, also if it has expired.

        Raises Unauthenticated.
        """
        try:
            payload = jws.deserialize_compact(token, key.key, algorithms=[key.algorithm]).payload
        except (JoseError, ValueError):
            raise refused("signature") from None
        try:
            claims = _PAYLOAD.decode(payload or b"")
        except msgspec.MsgspecError:  # of another kind of token
            raise refused("claims") from None
        if claims.iss != self.issuer:
            raise refused("iss")
        if claims.aud != self.audience:
            raise refused("aud")
        if max(claims.iat, claims.nbf) > (now + LEEWAY).timestamp():
            raise refused("iat or nbf")
        return TokenBearer(
            user=claims.sub,
            user_id=claims.user_id,
            session_id=claims.sid,
            role=Role[claims.role.upper()],
            kind="token",
            amr=claims.amr,
            auth_time=datetime.fromtimestamp(claims.auth_time, UTC),
            expires_at=datetime.fromtimestamp(claims.exp, UTC),
            issued_at=datetime.fromtimestamp(claims.iat, UTC),
            key_id=key.id,
        )
