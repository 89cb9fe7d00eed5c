"""Secrets at rest: AES-256-GCM."""

from __future__ import annotations

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


class Vault:
    """Seals and opens small sets of secrets. Each is bound to a place and opens nowhere else."""

    def __init__(self, key: bytes) -> None:
        """`key` is 32 bytes."""
        self._cipher = AESGCM(key)

    def seal(self, secrets: Mapping[str, str], *, place: str) -> str:
        """The secrets encrypted, as text."""
        nonce = os.urandom(_NONCE_BYTES)
        content = json.dumps(dict(secrets)).encode()
        sealed = self._cipher.encrypt(nonce, content, place.encode())
        return f"{_VERSION}.{base64.b64encode(nonce + sealed).decode()}"

    def open(self, text: str, *, place: str) -> dict[str, str]:
        """What `seal` was given. Raises Undecipherable."""
        version, _, encoded = text.partition(".")
        try:
            if version != _VERSION:
                raise Undecipherable("unknown format")
            raw = base64.b64decode(encoded, validate=True)
            content = self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError) as error:
            raise Undecipherable("does not open with this key") from error
        secrets: dict[str, str] = json.loads(content)
        return secrets
