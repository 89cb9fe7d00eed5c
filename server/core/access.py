"""Who may call: API keys and what they allow."""

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Protocol

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PREFIX = "finlink_"


class Scope(IntEnum):
    """The scope of a key; each includes those before it."""

    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept: `digest` is its SHA-256, which is enough, because keys are random."""

    name: str
    scope: Scope
    digest: str = field(repr=False)
    created_at: datetime | None = None  # None for one of the environment
    revoked_at: datetime | None = None


class Keys(Protocol):
    """The keys that hold at this moment."""

    @property
    def are_fresh(self) -> bool:
        """Whether they may be asked; else they are to be read first."""

    async def read(self) -> None: ...

    @property
    def guard(self) -> bool:
        """Whether calls need a credential."""

    def find(self, key: str) -> ApiKey:
        """The key that a call came with. Raises Unauthenticated if it is unknown or revoked."""


def new_key() -> str:
    """A key of 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(32)


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def parse_keys(text: str) -> tuple[ApiKey, ...]:
    """Keys as the environment names them: `NAME:SCOPE:DIGEST,…`. Raises ValueError, without digests."""
    found: dict[str, ApiKey] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, colon, rest = entry.partition(":")
        scope, _, value = rest.partition(":")
        # It may be a key, which no message shows.
        if not NAME.fullmatch(name) or name.startswith(_PREFIX) or not colon:
            raise ValueError(
                "each entry must be NAME:SCOPE:DIGEST, NAME of letters, digits, . _ - and DIGEST the "
                "SHA-256 of the key, not the key"
            )
        if scope not in {member.name.lower() for member in Scope}:
            raise ValueError(f"the scope of {name} must be read, write or admin")
        if not _DIGEST.fullmatch(value):
            raise ValueError(f"the digest of {name} must be the SHA-256 of its key, in hexadecimal")
        if name in found:
            raise ValueError(f"{name} is there twice")
        if value in {each.digest for each in found.values()}:
            raise ValueError(f"{name} has the digest of another entry")
        found[name] = ApiKey(name, Scope[scope.upper()], value)
    return tuple(found.values())
