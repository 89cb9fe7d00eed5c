"""Watches of a collection: what changes, from now on or from a token on, without gap and without repetition.

A watch from now on joins the hub. One from a token reads what lies between in rounds, each a change stream
for a moment, until it has come to where the hub is, and joins it there. Positions only ever grow, so nothing
comes twice; a watch joins no later than it has read to, so nothing is left out.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Literal

from server.core.clock import utc_now
from server.streaming import tokens
from server.streaming.hub import MAX_WATCHERS, Hub, Watcher
from server.streaming.source import C, ChangeSource, Positioned

HEARTBEAT_SECONDS = 15.0
# A round needs a connection to MongoDB: it is short, and only so many go on at once.
ROUNDS_AT_ONCE = 8
ROUND_CHANGES = 100
ROUND_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Event(Generic[C]):
    """An event for a watcher; without a change it is `ready` or a `heartbeat`."""

    resume_token: str
    kind: str
    at: datetime
    change: C | None = None


class Watches(Generic[C]):
    def __init__(
        self,
        source: ChangeSource[C],
        admit: Callable[[str], Awaitable[object]],
        limit: int = MAX_WATCHERS,
    ) -> None:
        """`admit` raises if there is no such owner."""
        self._source = source
        self._admit = admit
        self.hub = Hub(source, limit)
        self._rounds = asyncio.Semaphore(ROUNDS_AT_ONCE)

    async def watch(self, owner: str | None, token: str | None) -> AsyncGenerator[Event[C], None]:
        """The changes of what is of an owner, or of all, until it is closed; `ready` comes first.

        Raises InvalidRequest, ResumeTokenExpired or Unavailable, and what `admit` raises.
        """
        start = None if token is None else tokens.decode(token)
        if owner is not None:
            await self._admit(owner)
        async with self.hub.feed() as feed:
            watcher = Watcher(feed, owner, start or feed.now)
            try:
                ready: Event[C] = _quiet("ready", watcher.position)
                changes, joined = await self._round(watcher)
                yield ready
                while not joined:
                    for change in changes:
                        yield _event(change)
                    if not changes:
                        yield _quiet("heartbeat", watcher.position)
                    changes, joined = await self._round(watcher)
                for change in changes:
                    yield _event(change)
                while True:
                    news = await watcher.next(HEARTBEAT_SECONDS)
                    yield _event(news) if news else _quiet("heartbeat", watcher.position)
            finally:
                feed.leave(watcher)

    async def _round(self, watcher: Watcher[C]) -> tuple[list[Positioned[C]], bool]:
        """Read on to where the feed is, and join it there; otherwise what was read, and False."""
        changes: list[Positioned[C]] = []
        feed = watcher.feed
        if feed.join(watcher):
            return changes, True
        now = asyncio.get_running_loop().time
        async with self._rounds, self._source.read_on(watcher.position) as reader:
            until = now() + ROUND_SECONDS
            while len(changes) < ROUND_CHANGES and now() < until:
                change = await reader.next()
                if change is not None and watcher.owner in {None, change.change.owner}:
                    changes.append(change)
                watcher.position = reader.position
                feed.check()
                if feed.join(watcher):
                    return changes, True
        return changes, False


def _event(change: Positioned[C]) -> Event[C]:
    return Event(tokens.encode(change.position), change.change.kind, change.at, change.change)


def _quiet(kind: Literal["ready", "heartbeat"], position: str) -> Event[C]:
    return Event(tokens.encode(position), kind, utc_now())
