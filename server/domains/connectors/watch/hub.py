"""One change stream a process, whose changes all its watchers get.

It runs while anybody watches. Each watcher has a queue with a bound: one who reads too slowly is ended, and
goes on from its last token.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import structlog

from server.core.errors import Unavailable
from server.domains.connectors.watch.changes import Change
from server.domains.connectors.watch.store import ConnectorChanges
from server.observability.logging import cause_of

_log = structlog.stdlib.get_logger("finlink.watch")

MAX_WATCHERS = 1_000  # of one process
MAX_QUEUED = 1_000  # changes of one watcher
STOPPING = "The server is stopping; watch again from the last resume token"
TOO_SLOW = "The events are read too slowly; watch again from the last resume token"
TOO_MANY = "The server has too many watches; try again shortly"
RETRY_AFTER = timedelta(seconds=5)
BROKEN = "The watch was interrupted; watch again from the last resume token"
UNUSED = "Nobody watches"


class Watcher:
    """Whoever watches the connectors of one user, or all (None). All up to `position` has been taken."""

    def __init__(self, feed: Feed, user_id: str | None, position: str) -> None:
        self.position = position
        self.user_id = user_id
        self.feed = feed
        self._queue: deque[Change] = deque()
        self._news = asyncio.Event()
        self._too_slow = False

    async def next(self, patience: float) -> Change | None:
        """The next change, None where there is none for `patience` seconds. Raises Unavailable."""
        if not self._queue:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._news.wait()
        self._news.clear()
        if self._too_slow:
            raise Unavailable(TOO_SLOW)
        if self._queue:
            change = self._queue.popleft()
            self.position = change.position
            return change
        self.feed.check()
        self.position = max(self.position, self.feed.position)
        return None

    def tell(self, change: Change) -> None:
        if self._too_slow or change.position <= self.position:
            return
        if len(self._queue) >= MAX_QUEUED:
            self._too_slow = True
            self._queue.clear()
        else:
            self._queue.append(change)
        self._news.set()

    def wake(self) -> None:
        self._news.set()


class Feed:
    """The change stream while it runs. Places are compared as texts, which is how MongoDB orders them."""

    def __init__(self, changes: ConnectorChanges) -> None:
        self.position = ""
        self._began = ""
        self.failure: str | None = None
        self._changes = changes
        self._opened = asyncio.Event()
        self._watchers: defaultdict[str | None, set[Watcher]] = defaultdict(set)
        self._running = asyncio.create_task(self._run())

    async def opened(self) -> None:
        """Return once changes come in. Raises what kept it from that."""
        await self._opened.wait()
        self.check()

    @property
    def now(self) -> str:
        """Where one begins who wants nothing that was before."""
        return max(self.position, self._began)

    def check(self) -> None:
        """Raises Unavailable where the feed has ended."""
        if self.failure is not None:
            raise Unavailable(self.failure)

    def join(self, watcher: Watcher) -> bool:
        """Let a watcher have what comes; False where it has yet to read up to where the feed is."""
        if watcher.position < self.position:
            return False
        self._watchers[watcher.user_id].add(watcher)
        return True

    def leave(self, watcher: Watcher) -> None:
        watchers = self._watchers[watcher.user_id]
        watchers.discard(watcher)
        if not watchers:
            del self._watchers[watcher.user_id]

    async def _run(self) -> None:
        try:
            async with self._changes.follow() as (following, self._began):
                self.position = following.position
                self._opened.set()
                while self.failure is None:  # a driver may lose a cancellation
                    change = await following.next()
                    if change is not None:
                        self._tell(change)
                    self.position = following.position
                    await asyncio.sleep(0)  # a batch must not keep others waiting
        except Exception as error:  # noqa: BLE001 - whatever it was, the watchers must know
            _log.warning("change stream broke off", **cause_of(error))
            self._fail(BROKEN)

    def _tell(self, change: Change) -> None:
        for key in (change.connector.user_id, None):
            for watcher in self._watchers.get(key, ()):
                watcher.tell(change)

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


class Hub:
    """Keeps the feed running while anybody watches."""

    def __init__(self, changes: ConnectorChanges, limit: int = MAX_WATCHERS) -> None:
        self._changes = changes
        self._limit = limit
        self._watching = 0
        self._feed: Feed | None = None
        self._ending: set[Feed] = set()  # their change streams are being closed
        self._closed = False

    @asynccontextmanager
    async def feed(self) -> AsyncIterator[Feed]:
        """The feed, for one who watches. Raises Unavailable."""
        if self._closed:
            raise Unavailable(STOPPING)
        if self._watching >= self._limit:
            raise Unavailable(TOO_MANY, retry_after=RETRY_AFTER)
        self._watching += 1
        try:
            if self._feed is None or self._feed.failure is not None:
                self._feed = Feed(self._changes)
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
