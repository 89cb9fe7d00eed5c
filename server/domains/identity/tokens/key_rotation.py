"""Makes signing keys and drops them, each once over all processes."""

import asyncio
import json
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from joserfc.jwk import ECKey, RSAKey

from server.core.clock import Clock
from server.core.events import Event
from server.domains.identity.tokens.model import StoredSigningKey
from server.domains.identity.tokens.revocations import RevocationWriter
from server.domains.identity.tokens.store import NumberTaken, SigningKeyStore
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

PUBLISHED_BEFORE = timedelta(hours=1)  # a key signs
_RSA_BITS = 2048


class KeyRotation:
    """Two processes that rotate at once make one key: its number is unique. Driver errors pass through."""

    def __init__(
        self,
        store: SigningKeyStore,
        revoke: RevocationWriter,
        changes: RecordedChanges,
        algorithm: str,
        clock: Clock,
    ) -> None:
        """`algorithm` is one whose keys are stored, ES256 or RS256."""
        self._store = store
        self._revoke = revoke
        self._changes = changes
        self._algorithm = algorithm
        self._clock = clock

    async def follow(self, newest: StoredSigningKey | None) -> StoredSigningKey | None:
        """Make the key after the newest one, or the first, which signs at once.

        None if another process has made it. The first key is no rotation, and has no event.
        """
        wait = PUBLISHED_BEFORE if newest else timedelta(0)
        key = await self._new(newest.number + 1 if newest else 1, self._clock.now() + wait)

        async def work(session: ClientSession) -> StoredSigningKey:
            await self._store.add(key, session)
            return key

        try:
            return await self._changes.make(work, _rotated if newest else _unrecorded, None)
        except NumberTaken:
            return None

    async def next(self) -> StoredSigningKey:
        """The key that is to sign next: made, unless one is published already. The first signs at once."""
        while True:
            stored = await self._store.all(self._algorithm)
            if stored and stored[-1].signs_from > self._clock.now():
                return stored[-1]
            if made := await self.follow(stored[-1] if stored else None):
                return made

    async def replace(self) -> tuple[StoredSigningKey, Sequence[str]]:
        """Make a key that signs at once and drop all others, so that their tokens expire; sessions go on.

        Returns the key, and the ids of the others. They are not opened, so this also helps where one does
        not open any more.
        """
        while True:
            former = await self._store.all(self._algorithm)
            key = await self._new(former[-1].number + 1 if former else 1, self._clock.now())
            dropped = [each.id for each in former]
            work = partial(self._replace, key, dropped)
            try:
                return await self._changes.make(work, _rotated, None), dropped
            except NumberTaken:  # there is another one to be dropped
                continue

    async def _replace(
        self, key: StoredSigningKey, dropped: Sequence[str], session: ClientSession
    ) -> StoredSigningKey:
        await self._store.add(key, session)
        await self._store.remove(dropped, session)
        for key_id in dropped:
            await self._revoke.expire_tokens_of_key(key_id, session)
        return key

    async def _new(self, number: int, signs_from: datetime) -> StoredSigningKey:
        private = await asyncio.to_thread(_generated, self._algorithm)  # RSA takes long
        key_id = secrets.token_urlsafe(9)
        return self._store.seal(key_id, self._algorithm, number, signs_from, private)


def _generated(algorithm: str) -> bytes:
    """A new key as a JWK."""
    if algorithm == "RS256":
        return json.dumps(RSAKey.generate_key(_RSA_BITS).as_dict(private=True)).encode()
    return json.dumps(ECKey.generate_key("P-256").as_dict(private=True)).encode()


def _rotated(key: StoredSigningKey) -> Event:
    return Event("signing_key.rotated", fields=[key.id])


def _unrecorded(_: StoredSigningKey) -> Sequence[Event]:
    return ()
