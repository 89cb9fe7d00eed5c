"""The keys that sign access tokens: which one does at a moment, and which are published.

The keys of an algorithm are numbered. Each signs from its time on until the next one does, and is published
from when it is made until the last token that it has signed is past. So readers know a key before it signs.
"""

import asyncio
import hmac
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Protocol, TypeAlias

from joserfc.jwk import ECKey, OctKey, RSAKey

from server.core.clock import Clock
from server.domains.identity.tokens.key_rotation import PUBLISHED_BEFORE, KeyRotation
from server.domains.identity.tokens.model import LEEWAY, StoredSigningKey
from server.domains.identity.tokens.shared_read import SharedRead
from server.domains.identity.tokens.store import SigningKeyStore

UNKNOWN_SECONDS = 10.0  # for a `kid` that is not known keys are read again, once in this time
_READ_EVERY = timedelta(minutes=5)
_KEY_ID_BYTES = 9

Key: TypeAlias = ECKey | RSAKey | OctKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    id: str
    algorithm: str
    key: Key = field(repr=False)


class SigningKeys(Protocol):
    """The keys of the one algorithm that is configured."""

    async def signing(self) -> SigningKey:
        """The one that signs now."""

    async def find(self, key_id: str) -> SigningKey | None:
        """One whose tokens may hold."""

    async def published(self) -> Sequence[SigningKey]:
        """Those by whose public halves others verify tokens."""


class SharedSecret:
    """JWT_SECRET is the only key, and is not published. Implements `SigningKeys`."""

    def __init__(self, secret: bytes) -> None:
        # Keyed: from a plain hash a weak secret could be guessed without a token.
        key_id = hmac.digest(secret, b"kid", "sha256")[:_KEY_ID_BYTES].hex()
        self._key = SigningKey(key_id, "HS256", OctKey.import_key(secret))

    async def signing(self) -> SigningKey:
        return self._key

    async def find(self, key_id: str) -> SigningKey | None:
        return self._key if key_id == self._key.id else None

    async def published(self) -> Sequence[SigningKey]:
        return ()


class StoredKeys:
    """The stored keys as this worker has read them; reading makes the next one if it is due.

    Implements `SigningKeys`. Each method raises driver errors, and MissingKey or Undecipherable where the
    key ring does not open a key.
    """

    def __init__(
        self,
        store: SigningKeyStore,
        rotation: KeyRotation,
        clock: Clock,
        *,
        algorithm: str,
        rotate_after: timedelta,
        token_life: timedelta,
        is_dropped: Callable[[str], bool],
    ) -> None:
        """`is_dropped` says of a key's id whether it was dropped before its time."""
        self._store = store
        self._rotation = rotation
        self._clock = clock
        self._algorithm = algorithm
        self._rotate_after = rotate_after
        self._past_after = token_life + LEEWAY
        self._is_dropped = is_dropped
        self._stored: Sequence[StoredSigningKey] = ()
        self._opened: dict[str, SigningKey] = {}
        self._read_at: datetime | None = None
        self._reading = SharedRead(self._read)

    async def signing(self) -> SigningKey:
        await self._read_if_stale()
        now = self._clock.now()
        # All may be of a later moment, where this clock is behind that of who has made the first.
        begun = [key for key in self._stored if key.signs_from <= now] or self._stored[:1]
        return self._opened[begun[-1].id]

    async def find(self, key_id: str) -> SigningKey | None:
        await self._read_if_stale()
        if key_id not in self._opened:
            await self._reading.since(time.monotonic() - UNKNOWN_SECONDS)
        past = self._past(self._stored, self._clock.now())
        return None if key_id in past else self._opened.get(key_id)

    async def published(self) -> Sequence[SigningKey]:
        await self._read_if_stale()
        past = self._past(self._stored, self._clock.now())
        return [key for key_id, key in self._opened.items() if key_id not in past]

    async def _read_if_stale(self) -> None:
        age = None if self._read_at is None else self._clock.now() - self._read_at
        stale = age is None or not timedelta(0) <= age < _READ_EVERY
        if stale or any(map(self._is_dropped, self._opened)):
            await self._reading.since(time.monotonic())

    async def _read(self) -> None:
        now = self._clock.now()
        stored = await self._store.all(self._algorithm)
        if self._is_due(stored, now):
            await self._rotation.follow(stored[-1] if stored else None)
            stored = await self._store.all(self._algorithm)  # whoever has made it
        if past := self._past(stored, now):
            await self._store.remove(past)
            stored = [key for key in stored if key.id not in past]
        self._opened = {key.id: await self._open(key) for key in stored}
        self._stored = stored
        self._read_at = now

    def _is_due(self, stored: Sequence[StoredSigningKey], now: datetime) -> bool:
        return not stored or now >= stored[-1].signs_from + self._rotate_after - PUBLISHED_BEFORE

    def _past(self, stored: Sequence[StoredSigningKey], now: datetime) -> Sequence[str]:
        """The ids of those whose last token is past."""
        return [
            key.id for key, later in pairwise(stored) if later.signs_from + self._past_after <= now
        ]

    async def _open(self, key: StoredSigningKey) -> SigningKey:
        if (there := self._opened.get(key.id)) is not None:
            return there
        private = json.loads(self._store.open(key))
        opened = await asyncio.to_thread(_imported, key.algorithm, private)  # RSA takes long
        return SigningKey(key.id, key.algorithm, opened)


def _imported(algorithm: str, jwk: dict[str, str | list[str]]) -> Key:
    return RSAKey.import_key(jwk) if algorithm == "RS256" else ECKey.import_key(jwk)
