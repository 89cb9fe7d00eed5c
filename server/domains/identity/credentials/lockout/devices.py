"""Device tokens: `fld_` and, in base64url, a version, a user, a random id, an epoch and the code of these.

A login gives one to its device. Who shows it again is no stranger, and is counted apart from them. It opens
nothing by itself. Nothing of it is stored: the user's epoch grows when devices are to be strangers again.
"""

import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Protocol

from server.domains.identity.credentials.lockout.model import Name

_PREFIX = "fld_"
_VERSION = b"\x01"
_USER_BYTES, _ID_BYTES, _EPOCH_BYTES, _CODE_BYTES = 12, 16, 5, 32
# Together 66 bytes, so 88 characters without padding and without bits to spare: a token has one spelling.
_FORM = re.compile(_PREFIX + "([A-Za-z0-9_-]{88})")


class DeviceOwner(Protocol):
    @property
    def id(self) -> str:
        """`User.id`"""

    @property
    def device_epoch(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Device:
    """The contents of a token that was made here."""

    user: str  # `User.id`
    id: str
    epoch: int

    def is_of(self, owner: DeviceOwner) -> bool:
        """Whether the user has signed in on it, and nothing has ended that since."""
        return (self.user, self.epoch) == (owner.id, owner.device_epoch)

    @property
    def name(self) -> Name:
        """The name that its logins are counted by."""
        return Name("device", f"{self.user}/{self.id}", self.user)


class DeviceTokens:
    def __init__(self, secret: bytes) -> None:
        """`secret` is a keyed secret of 32 bytes."""
        self._key = hmac.digest(secret, b"finlink device token", "sha256")

    def make(self, user: str, epoch: int) -> str:
        """A token for a device on which a `User.id` has signed in."""
        device = secrets.token_bytes(_ID_BYTES)
        content = _VERSION + bytes.fromhex(user) + device + epoch.to_bytes(_EPOCH_BYTES)
        return _PREFIX + urlsafe_b64encode(content + self._code(content)).decode()

    def read(self, token: str) -> Device | None:
        """None if it was not made here."""
        form = _FORM.fullmatch(token)
        whole = urlsafe_b64decode(form[1]) if form else b""
        content, code = whole[:-_CODE_BYTES], whole[-_CODE_BYTES:]
        if not hmac.compare_digest(self._code(content), code) or content[:1] != _VERSION:
            return None
        user, rest = content[1 : 1 + _USER_BYTES], content[1 + _USER_BYTES :]
        return Device(user.hex(), rest[:_ID_BYTES].hex(), int.from_bytes(rest[_ID_BYTES:]))

    def _code(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, "sha256")
