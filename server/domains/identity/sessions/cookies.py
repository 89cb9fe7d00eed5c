"""The value of a session's cookie: the session's id, a dot, and 256 random bits in base64url."""

import hashlib
import re
import secrets
from typing import NamedTuple

from server.core.errors import Unauthenticated

_RANDOM_BYTES = 32
_FORM = re.compile(r"([0-9a-f]{24})\.([A-Za-z0-9_-]{43})")


class SentCookie(NamedTuple):
    session_id: str
    digest: bytes  # which is stored; random bits need no more than a hash


def new_cookie(session_id: str) -> tuple[str, bytes]:
    """A value for the cookie, and the digest to store."""
    secret = secrets.token_urlsafe(_RANDOM_BYTES)
    return f"{session_id}.{secret}", _digest(secret)


def read_cookie(value: str) -> SentCookie:
    """Raises Unauthenticated where it has not the form of one."""
    form = _FORM.fullmatch(value)
    if form is None:
        raise Unauthenticated("The session cookie is not valid")
    return SentCookie(form[1], _digest(form[2]))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
