"""When sessions were last used, and users last seen: noted in memory with each call, and written for many at
once.

A call asks nothing of MongoDB for that. A worker writes a session once a minute at most.
"""

from collections.abc import Callable
from datetime import datetime

from server.core.clock import Clock
from server.domains.identity.sessions.dependencies import LastSeen
from server.domains.identity.sessions.model import Caller
from server.domains.identity.sessions.store import SEEN_EVERY, SessionStore

WRITE_SECONDS = 5.0  # between two writes
_SECONDS = SEEN_EVERY.total_seconds()
_REMEMBERED = 20_000  # sessions of which a worker knows when it noted them


class SessionUse:
    def __init__(self, store: SessionStore, last_seen: LastSeen, clock: Clock) -> None:
        self._store = store
        self._last_seen = last_seen
        self._clock = clock
        self._noted: dict[str, float] = {}  # the oldest first
        self._waiting: dict[str, tuple[datetime, Caller]] = {}
        self._seen: dict[str, datetime] = {}  # by `User.id`

    def note(self, session_id: str, user: str, caller: Callable[[], Caller]) -> None:
        """The session of a `User.id` is in use by this call. `caller` is asked once a minute."""
        before = self._noted.get(session_id)
        if before is None or self._clock.timestamp() - before >= _SECONDS:
            self._note(session_id, user, caller())

    def note_user(self, user: str) -> None:
        """A session of a `User.id` has just been begun or prolonged, which is written already."""
        self._seen[user] = self._clock.now()

    async def write(self) -> None:
        """Write what was noted since the last time; what cannot be written is noted again in a minute."""
        waiting, self._waiting = self._waiting, {}
        seen, self._seen = self._seen, {}
        if waiting:
            await self._store.touch(waiting)
        if seen:
            await self._last_seen.note_seen(seen)

    def _note(self, session_id: str, user: str, caller: Caller) -> None:
        self._noted.pop(session_id, None)
        self._noted[session_id] = self._clock.timestamp()
        self._waiting[session_id] = self._clock.now(), caller
        self.note_user(user)
        if len(self._noted) > _REMEMBERED:
            oldest = next(iter(self._noted))
            del self._noted[oldest]
