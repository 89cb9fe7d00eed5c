"""Sealed values: what a person owns, in one encrypted blob a document, and tokens to find it by.

Everything derives from one data key, so that destroying that key ends the values and the tokens in every copy
of the database.
"""

import hmac
import struct
from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.security.encryption import Cipher, Undecipherable

BLOCK = 64  # a sealed value is as long as a multiple of this, so that its length says little
TOKEN_BYTES = 16
_KEY_BYTES = 32
_FORMAT = b"\x01"
_SEALING, _TOKENS = "seal", "token"
# Format, nonce and tag are around the content.
_AROUND = len(_FORMAT) + 12 + 16
_END = b"\x80"  # of the content; zeros follow

_Kind = TypeVar("_Kind")


class SealedBox:
    """Seals and opens values under one data key. A value that is sealed for one place opens nowhere else."""

    def __init__(self, key: bytes) -> None:
        """`key` is 32 random bytes."""
        self._key = key
        self._cipher = Cipher(_derived(key, _SEALING))
        self._token_keys: dict[str, bytes] = {}

    def seal(self, value: msgspec.Struct, *, place: str) -> bytes:
        """`place` is where it is stored: `collection/id`."""
        content = msgspec.msgpack.encode(value) + _END
        content += b"\0" * (-(_AROUND + len(content)) % BLOCK)
        return _FORMAT + self._cipher.encrypt(content, place=place)

    def open(self, raw: bytes, kind: type[_Kind], *, place: str) -> _Kind:
        """The value that `seal` got. Raises Undecipherable."""
        if raw[:1] != _FORMAT:
            raise Undecipherable("unknown format")
        content, end, _ = self._cipher.decrypt(raw[1:], place=place).rpartition(_END)
        if not end:
            raise Undecipherable("has no end")
        try:
            return msgspec.msgpack.decode(content, type=kind)
        except msgspec.DecodeError as error:
            raise Undecipherable(f"is no {kind.__name__}") from error

    def token(self, purpose: str, *parts: str | bytes) -> bytes:
        """16 bytes that are equal for equal parts, and say nothing about them to those without the key.

        Tokens of one purpose are never those of another.
        """
        key = self._token_keys.get(purpose)
        if key is None:
            key = self._token_keys[purpose] = _derived(self._key, f"{_TOKENS}/{purpose}")
        encoded = [part.encode() if isinstance(part, str) else part for part in parts]
        message = b"".join(struct.pack(">I", len(part)) + part for part in encoded)
        return hmac.digest(key, message, "sha256")[:TOKEN_BYTES]


def _derived(key: bytes, purpose: str) -> bytes:
    info = f"finlink sealed box/{purpose}".encode()
    return HKDF(hashes.SHA256(), _KEY_BYTES, salt=None, info=info).derive(key)
