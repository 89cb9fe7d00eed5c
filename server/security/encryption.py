"""Secrets at rest: AES-256-GCM, each bound to its place."""

import base64
import json
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = "v1"
_NONCE_BYTES = 12


class Undecipherable(Exception):
    """A stored secret does not open: another key sealed it, or it was changed or moved."""


class Cipher:
    """Encrypts under one key. A value that is encrypted for one place opens nowhere else."""

    def __init__(self, key: bytes) -> None:
        """`key` is 32 bytes."""
        self._cipher = AESGCM(key)

    def encrypt(self, content: bytes, *, place: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, place.encode())

    def decrypt(self, raw: bytes, *, place: str) -> bytes:
        """The bytes that `encrypt` got. Raises Undecipherable."""
        try:
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError) as error:
            raise Undecipherable("does not open with this key") from error

    def encrypt_text(self, secrets: Mapping[str, str], *, place: str) -> str:
        """A small set of secrets, encrypted, as text."""
        content = json.dumps(dict(secrets)).encode()
        return base64.b64encode(self.encrypt(content, place=place)).decode()

    def decrypt_text(self, text: str, *, place: str) -> dict[str, str]:
        """The text that `encrypt_text` got. Raises Undecipherable."""
        try:
            raw = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise Undecipherable("is not base64") from error
        secrets: dict[str, str] = json.loads(self.decrypt(raw, place=place))
        return secrets


class Vault:
    """Seals and opens small sets of secrets under one key."""

    def __init__(self, key: bytes) -> None:
        """`key` is 32 bytes."""
        self._cipher = Cipher(key)

    def seal(self, secrets: Mapping[str, str], *, place: str) -> str:
        return f"{_VERSION}.{self._cipher.encrypt_text(secrets, place=place)}"

    def open(self, text: str, *, place: str) -> dict[str, str]:
        """The text that `seal` got. Raises Undecipherable."""
        version, _, encoded = text.partition(".")
        if version != _VERSION:
            raise Undecipherable("unknown format")
        return self._cipher.decrypt_text(encoded, place=place)
