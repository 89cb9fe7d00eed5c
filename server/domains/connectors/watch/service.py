"""Watching connectors: what changes, from now on or from a place on, without gap and without repetition.

A watch from now on joins the hub. One from a place reads what lies between in rounds, each a change stream
for a moment, until it has come to where the hub is, and joins it there. Places only ever grow, so nothing is
told twice; a watch joins no later than it has read, so nothing is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from finlink_words import WatchEventType

from server.core.clock import utc_now
from server.domains.connectors.watch import tokens
from server.domains.connectors.watch.changes import Change
from server.domains.connectors.watch.hub import Hub, Watcher
from server.domains.connectors.watch.store import ConnectorChanges

HEARTBEAT_SECONDS = 15.0
# A round holds a connection to MongoDB: it is short, and only so many go on at once.
ROUNDS_AT_ONCE = 8
ROUND_CHANGES = 100
ROUND_SECONDS = 5.0


class UserDirectory(Protocol):
    """What watching needs to know of users."""

    async def is_active(self, user_id: str) -> bool:
        """Raises UserNotFound."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """What a watcher is told; `change` is None where nothing has changed."""

    resume_token: str
    kind: WatchEventType
    at: datetime
    change: Change | None = None


class WatchService:
    def __init__(self, changes: ConnectorChanges, hub: Hub, users: UserDirectory) -> None:
        self._changes = changes
        self._hub = hub
        self._users = users
        self._rounds = asyncio.Semaphore(ROUNDS_AT_ONCE)

    async def watch(self, user_id: str | None, token: str | None) -> AsyncGenerator[Event, None]:
        """The changes of a user's connectors, or of all, until it is closed; `ready` comes first.

        Raises InvalidRequest, UserNotFound, ResumeTokenExpired or Unavailable.
        """
        start = None if token is None else tokens.decode(token)
        if user_id is not None:
            await self._users.is_active(user_id)
        async with self._hub.feed() as feed:
            watcher = Watcher(feed, user_id, start or feed.now)
            try:
                ready = _quiet("ready", watcher.position)
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

    async def _round(self, watcher: Watcher) -> tuple[list[Change], bool]:
        """Read on to where the feed is, and join it there; else what was read, and False."""
        changes: list[Change] = []
        feed = watcher.feed
        if feed.join(watcher):
            return changes, True
        now = asyncio.get_running_loop().time
        async with self._rounds, self._changes.read_on(watcher.position) as following:
            until = now() + ROUND_SECONDS
            while len(changes) < ROUND_CHANGES and now() < until:
                change = await following.next()
                if change is not None and watcher.user_id in {None, change.connector.user_id}:
                    changes.append(change)
                watcher.position = following.position
                feed.check()
                if feed.join(watcher):
                    return changes, True
        return changes, False


def _event(change: Change) -> Event:
    return Event(tokens.encode(change.position), change.kind, change.at, change)


def _quiet(kind: Literal["ready", "heartbeat"], position: str) -> Event:
    return Event(tokens.encode(position), kind, utc_now())
