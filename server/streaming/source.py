"""The changes of a collection as MongoDB's change stream has them, in the order they were committed.

Every stream of a collection has the same pipeline: MongoDB takes a token only in a stream whose pipeline
would have let the change through that the token is of. So a watcher of one owner has no stream of its own.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

import structlog

from server.core.errors import ResumeTokenExpired
from server.observability.logging import cause_of
from server.storage.change_stream import ChangeStream, ResumeTokenLost
from server.storage.driver import Database, Document

_log = structlog.stdlib.get_logger("finlink.watch")

# For how long MongoDB lets a poll for changes wait before it replies that there are none.
WAIT = timedelta(milliseconds=500)
BRIEF_WAIT = timedelta(milliseconds=50)


class Change(Protocol):
    """A domain's view of one change."""

    @property
    def kind(self) -> str: ...

    @property
    def owner(self) -> str:
        """Whose it is: those who watch this owner get it, and those who watch all."""


C = TypeVar("C", bound=Change)


@dataclass(frozen=True, slots=True)
class Positioned(Generic[C]):
    """A change, and where in the stream it is."""

    position: str
    at: datetime
    change: C


class ChangeReader(Generic[C]):
    """Reads the changes that follow a position, and knows how far it has read."""

    def __init__(
        self, stream: ChangeStream, read: Callable[[Document], Positioned[C] | None]
    ) -> None:
        self._stream = stream
        self._read = read
        self.position = stream.position

    async def next(self) -> Positioned[C] | None:
        """The next change; None if there is none for now, or if it is not shown."""
        raw = await self._stream.next()
        self.position = self._stream.position
        return None if raw is None else self._read(raw)


class ChangeSource(Generic[C]):
    """Driver errors pass through."""

    def __init__(
        self,
        database: Database,
        collection: str,
        pipeline: Sequence[Document],
        change_of: Callable[[Mapping[str, Any]], C | None],
        seen: Callable[[str], object] = lambda owner: None,
    ) -> None:
        """`change_of` gives what is shown of a change, None for nothing. `seen` is called with the owner
        of each before anybody gets it.
        """
        self._database = database
        self._collection = database.collection(collection)
        self._pipeline = pipeline
        self._change_of = change_of
        self._seen = seen

    @asynccontextmanager
    async def follow(self) -> AsyncIterator[tuple[ChangeReader[C], str]]:
        """Follow the changes as they come; with the position that is now.

        The position that MongoDB calls now lies past the end of its log, where a reader that resumes comes
        only with the next write. So this begins with the last write, which lies before that position.
        """
        begin = await self._database.last_write()
        async with self._database.watch(self._collection, self._pipeline, None, WAIT) as stream:
            now = stream.position
        async with self._database.watch(self._collection, self._pipeline, begin, WAIT) as stream:
            reader = ChangeReader(stream, self._read)
            while not reader.position:
                await reader.next()  # of the last write, so before now
            yield reader, now

    @asynccontextmanager
    async def read_on(self, after: str) -> AsyncIterator[ChangeReader[C]]:
        """Read the changes after a position. Raises ResumeTokenExpired."""
        try:
            async with self._database.watch(
                self._collection, self._pipeline, after, BRIEF_WAIT
            ) as stream:
                yield ChangeReader(stream, self._read)
        except ResumeTokenLost:
            raise ResumeTokenExpired from None

    def _read(self, raw: Document) -> Positioned[C] | None:
        try:
            change = self._change_of(raw)
        except Exception as error:  # noqa: BLE001 - one document nobody can read must not end every watch
            key: Any = raw.get("documentKey", {}).get("_id")
            _log.error("change not read", document=str(key), **cause_of(error))
            return None
        if change is None:
            return None
        self._seen(change.owner)
        return Positioned(raw["_id"]["_data"], raw["wallTime"], change)
