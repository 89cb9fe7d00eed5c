"""Recovery codes: 24 letters and digits of base32, so 120 random bits, of which the SHA-256 is stored."""

import hashlib
import hmac
import secrets
from base64 import b32encode
from collections.abc import Sequence

from server.domains.identity.credentials.accounts.model import RecoveryCode

_CODES = 10
_BYTES = 15


def new_codes() -> Sequence[str]:
    return [b32encode(secrets.token_bytes(_BYTES)).decode() for _ in range(_CODES)]


def stored(codes: Sequence[str]) -> tuple[RecoveryCode, ...]:
    return tuple(RecoveryCode(digest_of(code)) for code in codes)


def digest_of(code: str) -> bytes:
    """However it was typed: in lower case, with spaces or hyphens."""
    letters = code.upper().replace("-", "").replace(" ", "")
    return hashlib.sha256(letters.encode()).digest()


def is_among(digest: bytes, codes: Sequence[RecoveryCode]) -> bool:
    """Whether it is one of these, and not used. All are compared, in constant time."""
    found = [hmac.compare_digest(digest, code.digest) and code.used_at is None for code in codes]
    return any(found)
