"""One change stream a process, whose changes all its watchers get.

It runs while anybody watches. Each watcher has a bounded queue: one that reads too slowly is ended, and goes
on from its last token.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Generic

import structlog

from server.core.errors import Unavailable
from server.observability.logging import cause_of
from server.streaming.source import C, ChangeSource, Positioned

_log = structlog.stdlib.get_logger("finlink.watch")

MAX_WATCHERS = 1_000  # of one process
MAX_QUEUED = 1_000  # changes of one watcher
STOPPING = "The server is stopping; watch again from the last resume token"
TOO_SLOW = "The events are read too slowly; watch again from the last resume token"
TOO_MANY = "The server has too many watches; try again shortly"
RETRY_AFTER = timedelta(seconds=5)
BROKEN = "The watch was interrupted; watch again from the last resume token"
UNUSED = "Nobody watches"


class Watcher(Generic[C]):
    """Watches what is of one owner, or all (None). It has got all changes up to `position`."""

    def __init__(self, feed: Feed[C], owner: str | None, position: str) -> None:
        self.position = position
        self.owner = owner
        self.feed = feed
        self._queue: deque[Positioned[C]] = deque()
        self._woken = asyncio.Event()
        self._too_slow = False

    async def next(self, seconds: float) -> Positioned[C] | None:
        """The next change, None if there is none for so many seconds. Raises Unavailable."""
        if not self._queue:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._woken.wait()
        self._woken.clear()
        if self._too_slow:
            raise Unavailable(TOO_SLOW)
        if self._queue:
            change = self._queue.popleft()
            self.position = change.position
            return change
        self.feed.check()
        self.position = max(self.position, self.feed.position)
        return None

    def deliver(self, change: Positioned[C]) -> None:
        if self._too_slow or change.position <= self.position:
            return
        if len(self._queue) >= MAX_QUEUED:
            self._too_slow = True
            self._queue.clear()
        else:
            self._queue.append(change)
        self._woken.set()

    def wake(self) -> None:
        self._woken.set()


class Feed(Generic[C]):
    """The change stream while it runs. Positions are compared as texts, which is how MongoDB orders them."""

    def __init__(self, source: ChangeSource[C]) -> None:
        self.position = ""
        self._began = ""
        self.failure: str | None = None
        self._source = source
        self._opened = asyncio.Event()
        self._watchers: defaultdict[str | None, set[Watcher[C]]] = defaultdict(set)
        self._running = asyncio.create_task(self._run())

    async def opened(self) -> None:
        """Return once changes come in. Raises Unavailable if they cannot."""
        await self._opened.wait()
        self.check()

    @property
    def now(self) -> str:
        """Where a watcher begins that wants nothing from before."""
        return max(self.position, self._began)

    def check(self) -> None:
        """Raises Unavailable if the feed has ended."""
        if self.failure is not None:
            raise Unavailable(self.failure)

    def join(self, watcher: Watcher[C]) -> bool:
        """Deliver to a watcher from now on; False if it has yet to read up to where the feed is."""
        if watcher.position < self.position:
            return False
        self._watchers[watcher.owner].add(watcher)
        return True

    def leave(self, watcher: Watcher[C]) -> None:
        watchers = self._watchers[watcher.owner]
        watchers.discard(watcher)
        if not watchers:
            del self._watchers[watcher.owner]

    async def _run(self) -> None:
        try:
            async with self._source.follow() as (reader, self._began):
                self.position = reader.position
                self._opened.set()
                while self.failure is None:  # a driver may lose a cancellation
                    change = await reader.next()
                    if change is not None:
                        self._deliver(change)
                    self.position = reader.position
                    await asyncio.sleep(0)  # a batch must not keep others waiting
        except Exception as error:  # noqa: BLE001 - whatever it was, the watchers must know
            _log.warning("change stream broke off", **cause_of(error))
            self._fail(BROKEN)

    def _deliver(self, change: Positioned[C]) -> None:
        for owner in (change.change.owner, None):
            for watcher in self._watchers.get(owner, ()):
                watcher.deliver(change)

    def _fail(self, why: str) -> None:
        self.failure = self.failure or why
        self._opened.set()
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.wake()

    def end(self, why: str) -> None:
        """Begin to close the change stream, and end every watcher for this reason."""
        self._fail(why)
        self._running.cancel()

    @property
    def done(self) -> bool:
        return self._running.done()

    async def ended(self) -> None:
        """Return once the change stream is closed."""
        await asyncio.wait({self._running})


class Hub(Generic[C]):
    def __init__(self, source: ChangeSource[C], limit: int = MAX_WATCHERS) -> None:
        self._source = source
        self._limit = limit
        self._watching = 0
        self._feed: Feed[C] | None = None
        self._ending: set[Feed[C]] = set()  # their change streams are being closed
        self._closed = False

    @asynccontextmanager
    async def feed(self) -> AsyncIterator[Feed[C]]:
        """The feed, for one watcher. Raises Unavailable."""
        if self._closed:
            raise Unavailable(STOPPING)
        if self._watching >= self._limit:
            raise Unavailable(TOO_MANY, retry_after=RETRY_AFTER)
        self._watching += 1
        try:
            if self._feed is None or self._feed.failure is not None:
                self._feed = Feed(self._source)
            feed = self._feed
            await feed.opened()
            yield feed
        finally:
            self._watching -= 1
            if self._watching == 0:
                self._end_feed(UNUSED)

    async def close(self) -> None:
        """End every watch and let none begin."""
        self._closed = True
        self._end_feed(STOPPING)
        for feed in list(self._ending):
            await feed.ended()

    def _end_feed(self, why: str) -> None:
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.end(why)
            self._ending = {each for each in self._ending if not each.done} | {feed}
