"""Data keys: each owner's secrets are sealed under a key of its own, which can be destroyed alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from server.security.encryption import Cipher, Undecipherable

_VERSION = "v2"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose secrets a data key seals: a name that is no other's, and the user it belongs to."""

    user_id: str
    name: str


class DataKey:
    """Seals and opens the secrets of one owner. A sealed value names its key, and opens in its field only."""

    def __init__(self, key_id: str, owner: Owner, key: bytes, *, stored: bool = True) -> None:
        """`key` is 32 bytes."""
        self.id = key_id
        self.owner = owner
        self.key = key
        self.stored = stored  # what a key seals that is not must be stored together with it
        self._cipher = Cipher(key)

    def seal(self, secrets: Mapping[str, str], *, field: str) -> str:
        text = self._cipher.encrypt_text(secrets, place=self._place(field))
        return f"{_VERSION}.{self.id}.{text}"

    def open(self, text: str, *, field: str) -> dict[str, str]:
        """The text that `seal` got. Raises Undecipherable."""
        version, _, rest = text.partition(".")
        key_id, _, encoded = rest.partition(".")
        if version != _VERSION:
            raise Undecipherable("unknown format")
        if key_id != self.id:
            raise Undecipherable("is sealed under another data key")
        return self._cipher.decrypt_text(encoded, place=self._place(field))

    def _place(self, field: str) -> str:
        return f"{self.owner.name}/{field}"
