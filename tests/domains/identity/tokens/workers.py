"""Workers of one Finlink, as far as access tokens need them, and tokens made by hand."""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import jwt

from server.cache.generations import Generations
from server.core.clock import Clock
from server.core.principals import Role
from server.domains.identity.tokens.key_rotation import KeyRotation
from server.domains.identity.tokens.model import Facts
from server.domains.identity.tokens.revocations import RevocationWriter
from server.domains.identity.tokens.service import AccessTokens
from server.domains.identity.tokens.store import SigningKeyStore
from server.domains.identity.wiring.basis import access_tokens, revocation_writer
from server.kernel import Kernel, Secrets
from server.security.ring import KeyRing
from server.settings import load
from server.storage.audit import AuditTrail, Codes
from server.storage.changes import RecordedChanges
from server.storage.driver import Database
from server.storage.leases import Leases

Json = dict[str, Any]

RING = KeyRing({"one": bytes(range(32))})
SECRET = "5d9f2a1c7e804b36a1f0c2d4e6b8937150a2c4e6f8091b3d5f7a9c0e2d4b6f81"
ISSUER = "https://finlink.example"
LIFE = timedelta(minutes=15)
ASHA = Facts("665f1f77bcf86cd799439011", "asha", "s-1", Role.MODERATOR, ("pwd", "totp"),
             datetime(2026, 1, 15, 10, 30, tzinfo=UTC))  # fmt: skip


class TurnableClock(Clock):
    def __init__(self, file: Path) -> None:
        super().__init__()
        file.write_bytes(bytes(8))
        self._file = file
        self.follow(file)

    def turn(self, ahead: timedelta) -> None:
        with self._file.open("r+b") as file:
            file.write(struct.pack("q", ahead // timedelta(milliseconds=1)))


@dataclass
class Worker:
    tokens: AccessTokens
    revoke: RevocationWriter
    kernel: Kernel

    async def issue(self, facts: Facts = ASHA) -> str:
        return (await self.tokens.issue(facts))[0]


def worker(
    database: Database,
    clock: Clock,
    generations: Generations | None = None,
    ring: KeyRing = RING,
    **given: Any,
) -> Worker:
    """One with no memory yet; without `generations` on a host of its own."""
    settings = load(_env_file=None, public_url=ISSUER, **given)
    trail = AuditTrail(database, Codes(bytes(32)))
    shared = generations or Generations()
    some = bytes(32)
    secrets = Secrets(some, some, some, some, some, of_domains={})
    changes = RecordedChanges(database, trail, shared)
    unused = cast("Any", None)
    kernel = Kernel(
        settings,
        database,
        Leases(database),
        ring,
        secrets,
        shared,
        trail,
        changes,
        unused,
        unused,
        clock,
    )
    return Worker(access_tokens(kernel), revocation_writer(kernel), kernel)


def parts(token: str) -> tuple[Json, Json]:
    """Header and claims; nothing is verified."""
    header, claims, _ = token.split(".")
    return _decoded(header), _decoded(claims)


def _decoded(part: str) -> Json:
    content: Json = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return content


def encoded(content: bytes | Json) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def private_jwk(worker: Worker, key_id: str, algorithm: str = "ES256") -> Json:
    """The private half of a stored key."""
    store = SigningKeyStore(worker.kernel.database, worker.kernel.ring)
    (key,) = [each for each in await store.all(algorithm) if each.id == key_id]
    content: Json = json.loads(store.open(key))
    return content


def signed(header: Json, claims: bytes | Json, key: Any, algorithm: str = "ES256") -> str:
    """By hand and with another library, which refuses none of what is wrong."""
    text = f"{encoded(header)}.{encoded(claims)}"
    signature = jwt.algorithms.get_default_algorithms()[algorithm].sign(text.encode(), key)
    return f"{text}.{encoded(signature)}"


async def kid(of: Worker) -> str:
    """Of the key that signs."""
    return str(parts(await of.issue())[0]["kid"])


def rotation(of: Worker, algorithm: str = "ES256") -> KeyRotation:
    kernel = of.kernel
    store = SigningKeyStore(kernel.database, kernel.ring)
    return KeyRotation(store, of.revoke, kernel.changes, algorithm, kernel.clock)
