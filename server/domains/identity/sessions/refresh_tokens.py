"""Refresh tokens: `flr_` and, in base64url, a version, a session, a counter and the code of these.

Nothing of a token is stored: the session has the counter of its newest one. So a token that was not made
here is known without a look at any session, and a token can be made a second time, byte for byte.
"""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

from server.core.errors import Unauthenticated

_PREFIX = "flr_"
_VERSION = b"\x01"
_ID_BYTES, _COUNTER_BYTES, _CODE_BYTES = 12, 6, 32
# Version, id, counter and code are 51 bytes, so 68 characters without padding and without bits to spare:
# a token has one spelling.
_FORM = re.compile(_PREFIX + "([A-Za-z0-9_-]{68})")
_KEY_DIGEST_BYTES = 16


class SentToken(NamedTuple):
    """The contents of a token that was made here."""

    session_id: str
    counter: int


class RefreshTokens:
    def __init__(self, secret: bytes, jwt_secret: bytes | None = None) -> None:
        """`secret` is a keyed secret of 32 bytes. A change of `jwt_secret` ends all tokens."""
        self._key = _derived(secret, b"finlink refresh token", jwt_secret)
        self._digest_key = _derived(secret, b"finlink refresh idempotency key", jwt_secret)

    def make(self, session_id: str, counter: int) -> str:
        """The refresh token of a session that has this counter."""
        content = _VERSION + bytes.fromhex(session_id) + counter.to_bytes(_COUNTER_BYTES)
        return _PREFIX + urlsafe_b64encode(content + self._code(content)).decode()

    def read(self, token: str) -> SentToken:
        """Raises Unauthenticated where it was not made here."""
        form = _FORM.fullmatch(token)
        whole = urlsafe_b64decode(form[1]) if form else b""
        content, code = whole[:-_CODE_BYTES], whole[-_CODE_BYTES:]
        if not hmac.compare_digest(self._code(content), code) or content[:1] != _VERSION:
            raise Unauthenticated("The refresh token is not valid")
        session_id, counter = content[1 : 1 + _ID_BYTES], content[1 + _ID_BYTES :]
        return SentToken(session_id.hex(), int.from_bytes(counter))

    def key_digest(self, session_id: str, key: str) -> bytes:
        """16 bytes that stand for an idempotency key where a session is stored.

        Callers choose keys that can be guessed, so who reads the database must not be able to try them.
        """
        return _mac(self._digest_key, f"{session_id}/{key}".encode())[:_KEY_DIGEST_BYTES]

    def _code(self, content: bytes) -> bytes:
        return _mac(self._key, content)


def _derived(secret: bytes, purpose: bytes, jwt_secret: bytes | None) -> bytes:
    return _mac(secret, purpose + (b"\0" + jwt_secret if jwt_secret else b""))


def _mac(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")
