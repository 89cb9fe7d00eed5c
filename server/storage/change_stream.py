"""An open change stream of a collection, and how it ends; `Database.watch` opens one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import timeout
from pymongo.errors import OperationFailure, PyMongoError

# Of one question for changes. Longer than other operations may take: MongoDB may have much to read before
# it comes to a change of the collection.
STREAM_SECONDS = 10.0
# ChangeStreamHistoryLost, ChangeStreamFatalError (no such change), NoMatchingDocument (no image).
_TOKEN_LOST = frozenset({286, 280, 47})


class ResumeTokenLost(Exception):
    """The changes after a position in a change stream are no longer kept, or never existed."""


class StreamEnded(PyMongoError):
    """MongoDB closed a change stream: its collection is gone."""


class ChangeStream:
    """An open change stream. `position` is a text; a later position is a greater one."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    @property
    def position(self) -> str:
        """Where a stream would go on with what `next` has not given yet.

        Empty before the first `next` of one that began with a moment of the log and has a change at once.
        """
        token = self._stream.resume_token
        return token["_data"] if token else ""

    async def next(self) -> dict[str, Any] | None:
        """The next change, None where there is none for now. Raises ResumeTokenLost."""
        with timeout(STREAM_SECONDS), token_checked():
            change: dict[str, Any] | None = await self._stream.try_next()
        if change is None and not self._stream.alive:
            raise StreamEnded("the change stream was closed")
        return change


@contextmanager
def token_checked() -> Iterator[None]:
    """Turns what MongoDB says of a position that is lost into ResumeTokenLost."""
    try:
        yield
    except OperationFailure as error:
        if error.code in _TOKEN_LOST:
            raise ResumeTokenLost(str(error.code)) from error
        raise
