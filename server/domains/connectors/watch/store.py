"""The changes of connectors as MongoDB's change stream tells them, in the order they were committed.

Every stream has the same pipeline: MongoDB takes a token only in a stream whose pipeline would have let
the change through that the token is of. So a watcher of one user is not served by a stream of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import structlog

from server.domains.connectors.connections.store import CONNECTORS
from server.domains.connectors.errors import ResumeTokenExpired
from server.domains.connectors.watch.changes import Change, change_of
from server.observability.logging import cause_of
from server.storage.driver import ChangeStream, Database, Document, ResumeTokenLost

_log = structlog.stdlib.get_logger("finlink.watch")

# For how long MongoDB holds a question for changes before it answers that there are none.
WAIT = timedelta(milliseconds=500)
BRIEF_WAIT = timedelta(milliseconds=50)

# What heartbeats of runs and rollups move: no caller is told of it, and it is most of all changes.
_UNTOLD = ["sync.dueAt", "sync.fence", "updatedAt", "tallied"]
_UPDATED = {
    "$map": {"input": {"$objectToArray": "$updateDescription.updatedFields"}, "in": "$$this.k"}
}
_TOLD = {
    "$or": [
        {"$ne": ["$operationType", "update"]},
        {"$ne": ["$updateDescription.removedFields", []]},
        {"$not": [{"$setIsSubset": [_UPDATED, _UNTOLD]}]},
    ]
}
# Nothing else leaves MongoDB; of the history the newest run is enough.
_FIELDS = (
    "_id", "userId", "platform", "connectionStatus", "connectionDetails.connectedAt",
    "connectionDetails.disconnectedAt", "connectionDetails.lastSyncAt",
    "credentials.tokenExpiresAt", "sync.run",
)  # fmt: skip


def _image(name: str) -> Document:
    history = f"${name}.syncHistory"
    newest = {"$cond": [{"$isArray": history}, {"$slice": [history, 1]}, "$$REMOVE"]}
    return {**{f"{name}.{field}": 1 for field in _FIELDS}, f"{name}.syncHistory": newest}


PIPELINE: list[Document] = [
    {"$match": {"$expr": _TOLD}},
    {
        "$project": {
            "operationType": 1,
            "documentKey": 1,
            "wallTime": 1,
            **_image("fullDocument"),
            **_image("fullDocumentBeforeChange"),
        }
    },
]


class Following:
    """The changes that follow a place, and how far they have been taken."""

    def __init__(self, stream: ChangeStream, seen: Callable[[str], object]) -> None:
        self._stream = stream
        self._seen = seen
        self.position = stream.position

    async def next(self) -> Change | None:
        """The next change; None where there is none for now, or where it is of no interest to callers."""
        raw = await self._stream.next()
        self.position = self._stream.position
        change = None if raw is None else _read(raw)
        if change is not None:
            self._seen(change.connector.user_id)
        return change


class ConnectorChanges:
    """Driver errors pass through."""

    def __init__(
        self, database: Database, seen: Callable[[str], object] = lambda user_id: None
    ) -> None:
        """`seen` is called with whose connector it is, before anybody is told of a change."""
        self._database = database
        self._seen = seen
        self._connectors = database.collection(CONNECTORS)

    @asynccontextmanager
    async def follow(self) -> AsyncIterator[tuple[Following, str]]:
        """Follow the changes as they come; with the place that is now.

        The place that MongoDB calls now lies past the end of its log, where one who reads on comes only
        with the next write. So this begins with the last write, which lies before that place.
        """
        begin = await self._database.last_write()
        async with self._database.watch(self._connectors, PIPELINE, None, WAIT) as stream:
            now = stream.position
        async with self._database.watch(self._connectors, PIPELINE, begin, WAIT) as stream:
            following = Following(stream, self._seen)
            while not following.position:
                await following.next()  # of the last write, so before now
            yield following, now

    @asynccontextmanager
    async def read_on(self, after: str) -> AsyncIterator[Following]:
        """The changes after a place; at their end it is soon said so. Raises ResumeTokenExpired."""
        try:
            async with self._database.watch(
                self._connectors, PIPELINE, after, BRIEF_WAIT
            ) as stream:
                yield Following(stream, self._seen)
        except ResumeTokenLost:
            raise ResumeTokenExpired from None


def _read(raw: Document) -> Change | None:
    try:
        return change_of(raw)
    except Exception as error:  # noqa: BLE001 - one document nobody can read must not end every watch
        key: Any = raw.get("documentKey", {}).get("_id")
        _log.error("change not told", connector_id=str(key), **cause_of(error))
        return None
