"""The key ring: named keys that wrap other keys.

A key of the ring is replaced by wrapping those again; the data they seal does not change.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from server.security.encryption import Cipher, Undecipherable

_log = structlog.stdlib.get_logger("finlink.security")


class MissingKey(Exception):
    """A value is wrapped by a key that is not in the ring: an operator must put it back."""

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"the encryption key {key_id} is missing; put it back into ENCRYPTION_KEYS as {key_id}:KEY"
        )
        self.key_id = key_id


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A key as it is stored: encrypted by the key of the ring that is named."""

    by: str
    content: bytes


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A wrapped key with its id in the database and the place it is bound to."""

    id: str
    place: str
    wrapped: Wrapped


class KeyRing:
    """Wraps keys with its first key, and opens what any of its keys wrapped."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """`keys` by their ids, the first of them the one that wraps; each is 32 bytes."""
        self._ciphers = {key_id: Cipher(key) for key_id, key in keys.items()}
        self.first = next(iter(self._ciphers))

    def __contains__(self, key_id: str) -> bool:
        return key_id in self._ciphers

    def wrap(self, key: bytes, *, place: str) -> Wrapped:
        """`place` is where it is stored; it opens nowhere else."""
        return Wrapped(self.first, self._ciphers[self.first].encrypt(key, place=place))

    def unwrap(self, wrapped: Wrapped, *, place: str) -> bytes:
        """Raises MissingKey where the ring lacks the key, Undecipherable where it does not open."""
        cipher = self._ciphers.get(wrapped.by)
        if cipher is None:
            _log.error("encryption key missing", key_id=wrapped.by)
            raise MissingKey(wrapped.by)
        try:
            return cipher.decrypt(wrapped.content, place=place)
        except Undecipherable as error:
            raise Undecipherable(f"does not open with the encryption key {wrapped.by}") from error

    def rewrap(self, wrapped: Wrapped, *, place: str) -> Wrapped:
        """The same key, wrapped by the first one. Raises as `unwrap`."""
        return self.wrap(self.unwrap(wrapped, place=place), place=place)
