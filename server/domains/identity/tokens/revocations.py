"""Revocations within the life of an access token: who writes them, and what a worker knows of them."""

import time
from collections.abc import Hashable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from datetime import datetime, timedelta

from server.cache.generations import Generations
from server.cache.responses import place_of
from server.core.clock import Clock
from server.core.errors import SessionEnded, TokenExpired
from server.core.principals import SignedIn
from server.domains.identity.tokens.model import LEEWAY, CookieBearer, Kind, Revocation, TokenBearer
from server.domains.identity.tokens.shared_read import SharedRead
from server.domains.identity.tokens.store import RevocationStore
from server.storage.driver import ClientSession

FRESH_SECONDS = 2.0  # for which a worker goes by what it has read
# A revocation has the time at which it was written, and can be read once its transaction has committed:
# perhaps after others that were written later. MongoDB lets a transaction live for 60 s, unless it is set to
# less (`transactionLifetimeLimitSeconds`), and the clocks of two primaries in a row may differ a little. So
# one that a read could not see yet was written at most this long before the newest that this read saw. The
# next read begins there; it asks for ids, and fetches those that the read before has not found.
OVERLAP = timedelta(seconds=60) + LEEWAY
_MARGIN = timedelta(minutes=1)  # for tokens that are being issued while something ends
_TIDY_EVERY = timedelta(minutes=1)

_Known = dict[str, Revocation]


class RevocationWriter:
    """Revokes, inside the transactions of those who change something."""

    def __init__(
        self, store: RevocationStore, generations: Generations, token_life: timedelta, clock: Clock
    ) -> None:
        self._store = store
        self._generations = generations
        self._kept = token_life + LEEWAY + _MARGIN
        self._clock = clock

    async def end_sessions(self, session_ids: Sequence[str], session: ClientSession) -> None:
        """The tokens of these sessions get SESSION_ENDED."""
        for session_id in session_ids:
            await self._add("session", session_id, None, session)

    async def end_user(self, user: str, session: ClientSession) -> None:
        """All that a user has now gets SESSION_ENDED; what is issued from now on holds."""
        await self._add("user", user, self._clock.now(), session)

    async def expire_tokens(self, user: str, session: ClientSession) -> None:
        """A user's tokens get TOKEN_EXPIRED; what is issued from now on holds.

        To be called after the write that makes them wrong. That write waits for whoever has the document
        locked, so a token with the old facts is of an earlier moment than this one.
        """
        await self._add("tokens", user, self._clock.now(), session)

    async def expire_tokens_of_key(self, key_id: str, session: ClientSession) -> None:
        """All tokens that a key has signed get TOKEN_EXPIRED."""
        await self._add("key", key_id, None, session)

    @contextmanager
    def announced(self, *users: str) -> Iterator[None]:
        """Around the transactions that revoke something of these users, each named by `User.id`.

        Afterwards, also where nobody knows whether it was committed, the workers of this host read what is
        new before they let a token of these users pass. On other hosts it holds within two seconds.
        """
        try:
            yield
        finally:
            self.announce(*users)

    def announce(self, *users: str) -> None:
        """After such a transaction, which has been committed."""
        self._generations.close(*map(_place_name, users))

    async def _add(
        self, kind: Kind, of: str, before: datetime | None, session: ClientSession
    ) -> None:
        revocation = Revocation(kind, of, self._clock.now() + self._kept, before)
        await self._store.add(revocation, session)


class Revocations:
    """All that is revoked, as this worker has read it."""

    def __init__(self, store: RevocationStore, generations: Generations, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._numbers = generations.numbers
        # The table as it was when the last read began: where it differs, something was revoked since.
        self._numbers_read = memoryview(self._numbers.tobytes()).cast("Q")
        self._sessions: _Known = {}
        self._users: _Known = {}
        self._tokens: _Known = {}
        self._keys: _Known = {}
        self._known: Mapping[Kind, _Known] = {
            "session": self._sessions,
            "user": self._users,
            "tokens": self._tokens,
            "key": self._keys,
        }
        self._newest: datetime | None = None  # when it was written, by MongoDB's clock
        self._seen: Set[Hashable] = frozenset()  # the ids of those that the last read found
        self._tidied_at = clock.now()
        self._reading = SharedRead(self._read)

    @property
    def are_fresh(self) -> bool:
        return time.monotonic() - self._reading.begun_at < FRESH_SECONDS

    async def read(self) -> None:
        """Driver errors pass through: who cannot read what is revoked lets nobody pass."""
        await self._reading.since(time.monotonic() - FRESH_SECONDS)

    async def read_again(self) -> None:
        """With a read that begins from now on."""
        await self._reading.since(time.monotonic())

    def is_current_for(self, place: int) -> bool:
        """Whether nothing was revoked on this host for the users of a place since the last read."""
        return self._numbers[place] == self._numbers_read[place]

    def check(self, signed_in: SignedIn) -> None:
        """Raises SessionEnded, TokenExpired."""
        # A session with a cookie is from its `auth_time`. Its role is read with each call, so it can be wrong
        # only while a stream goes on.
        token = signed_in if isinstance(signed_in, TokenBearer) else None
        moment = signed_in.auth_time if token is None else token.issued_at
        if signed_in.session_id in self._sessions or self._is_over(self._users, signed_in, moment):
            raise SessionEnded
        if isinstance(signed_in, CookieBearer):
            moment = signed_in.as_of
            if self._is_over(self._tokens, signed_in, moment):
                raise TokenExpired("The user's role has changed: repeat the call")
        elif token is not None and (
            token.key_id in self._keys or self._is_over(self._tokens, token, moment)
        ):
            raise TokenExpired

    @staticmethod
    def _is_over(known: _Known, signed_in: SignedIn, moment: datetime) -> bool:
        revocation = known.get(signed_in.user)
        return (
            revocation is not None and revocation.before is not None and moment <= revocation.before
        )

    def has_key(self, key_id: str) -> bool:
        """Whether a key was revoked, so that its tokens have expired."""
        return key_id in self._keys

    async def _read(self) -> None:
        # Before the query: whoever changes a number has committed.
        numbers = memoryview(self._numbers.tobytes()).cast("Q")
        since = None if self._newest is None else self._newest - OVERLAP
        ids = await self._store.ids_since(since)
        moments = [] if self._newest is None else [self._newest]
        async for found in self._store.get([each for each in ids if each not in self._seen]):
            for moment, revocation in found:
                self._add(revocation)
                moments.append(moment)
        # Only now: a read that fails on the way is made again in full.
        self._seen = frozenset(ids)
        self._newest = max(moments, default=None)
        self._numbers_read = numbers
        self._tidy()

    def _add(self, revocation: Revocation) -> None:
        known = self._known[revocation.kind]
        there = known.get(revocation.of)
        if there is None or there.expires_at < revocation.expires_at:
            known[revocation.of] = revocation

    def _tidy(self) -> None:
        """Forget what is about tokens that are past anyway, as the TTL index does."""
        now = self._clock.now()
        if now - self._tidied_at < _TIDY_EVERY:
            return
        self._tidied_at = now
        for known in self._known.values():
            for of in [of for of, revocation in known.items() if revocation.expires_at <= now]:
                del known[of]


def place_of_user(user: str) -> int:
    """In the table of generations."""
    return place_of(_place_name(user))


def _place_name(user: str) -> str:
    return f"sessions of {user}"
