"""Codes of authenticator apps (RFC 6238), with what all apps can: SHA-1, 6 digits, 30 seconds."""

import hmac
from datetime import datetime

import pyotp

from server.security.encryption import Vault

_SECONDS = 30
_ISSUER = "Finlink"


class TotpSecrets:
    """Seals the secrets of apps, each for its user: moved to another user it does not open."""

    def __init__(self, key: bytes) -> None:
        """`key` is 32 bytes."""
        self._vault = Vault(key)

    def seal(self, user: str, secret: str) -> str:
        return self._vault.seal({"secret": secret}, place=f"totp {user}")

    def open(self, user: str, sealed: str) -> str:
        return self._vault.open(sealed, place=f"totp {user}")["secret"]


def new_secret() -> str:
    """160 random bits in base32."""
    return pyotp.random_base32()


def uri(secret: str, account: str) -> str:
    """The secret as apps read it from a QR code; `account` is how they name it in their list."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=_ISSUER)


def step_of(secret: str, code: str, now: datetime, *, after: int) -> int | None:
    """The step that a code belongs to: the current one, the one before or the next; None if it is wrong.

    Steps up to `after` are used. Each is compared in constant time, whether or not another was right.
    """
    app = pyotp.TOTP(secret)
    current = int(now.timestamp()) // _SECONDS
    steps = range(current - 1, current + 2)
    right = [
        step
        for step in steps
        if hmac.compare_digest(app.at(step * _SECONDS).encode(), code.encode())
    ]
    return next((step for step in right if step > after), None)
