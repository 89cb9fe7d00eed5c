"""Page tokens: where a list went on, opaque to callers and bound to the list's filters."""

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId

from server.core.errors import InvalidRequest
from server.core.pages import PageRequest
from server.storage.driver import Document

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_PAGE = 2**31 - 1  # counts are 32-bit numbers


@dataclass(frozen=True, slots=True)
class Position:
    """The last document of a page: its time, its id, the number of that page, and how many there were.

    A document that another tool wrote may have no time; such ones come last. `total` is of lists whose
    documents are counted for the first page of a walk only.
    """

    at: datetime | None
    id: str
    page: int = 1
    total: int | None = None

    @property
    def object_id(self) -> ObjectId:
        """The id, of a list whose ids are MongoDB's. Raises InvalidRequest where it is none."""
        if not ObjectId.is_valid(self.id):
            raise InvalidRequest.of("pageToken", "is not a token of this list")
        return ObjectId(self.id)


async def read(
    find: Callable[[Document, int], Awaitable[list[Document]]],
    query: Document,
    position: Position | None,
    time_field: str,
    limit: int,
) -> list[Document]:
    """The documents past `position`, one more than `limit` where there are so many.

    `find` gives at most so many documents of a query, newest first by `time_field`, ties by id, those
    without a time last. The query may have bounds of `time_field`, which then leave those out. Raises
    InvalidRequest where the position's id is none.
    """
    if position is None:
        return await find(query, limit + 1)
    tie = {**query, time_field: position.at, "_id": {"$lt": position.object_id}}
    if position.at is None:
        return await find(tie, limit + 1)
    bounds = query.get(time_field, {})
    older = {**query, time_field: {**bounds, "$lt": position.at}}
    if None in query.values():  # MongoDB walks two ranges of an index, and can merge no more
        documents = await find(tie, limit + 1)
        if len(documents) <= limit:
            documents += await find(older, limit + 1 - len(documents))
    else:  # the filters in each branch, so that MongoDB merges two walks of one index
        documents = await find({"$or": [older, tie]}, limit + 1)
    if len(documents) <= limit and not bounds:
        # Apart: as a third branch it would keep MongoDB from walking the index.
        documents += await find({**query, time_field: None}, limit + 1 - len(documents))
    return documents


async def page(
    find: Callable[[Document, int], Awaitable[list[Document]]],
    query: Document,
    wanted: PageRequest,
    filters: Mapping[str, Any],
    time_field: str,
) -> tuple[list[Document], str | None]:
    """One page, as `read` gives it, and the token of the next. Raises InvalidRequest for a bad token."""
    token, limit = wanted.page_token, wanted.limit
    position = None if token is None else decode(token, filters)
    documents = await read(find, query, position, time_field, limit)
    return documents[:limit], next_token(documents, limit, time_field, filters)


def next_token(
    documents: Sequence[Mapping[str, Any]],
    limit: int,
    time_field: str,
    filters: Mapping[str, Any],
    page: int = 1,
    total: int | None = None,
) -> str | None:
    """The token that leads past a page read with one document more than `limit`; None on the last."""
    if len(documents) <= limit:
        return None
    last = documents[limit - 1]
    return encode(Position(last.get(time_field), str(last["_id"]), page, total), filters)


def encode(position: Position, filters: Mapping[str, Any]) -> str:
    """The token that leads past `position` under the same filters."""
    milliseconds = (
        None if position.at is None else (position.at - _EPOCH) // timedelta(milliseconds=1)
    )
    content = [milliseconds, position.id, position.page, _digest(filters)]
    if position.total is not None:
        content.append(position.total)
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def decode(token: str, filters: Mapping[str, Any]) -> Position:
    """The position a token stands for. Raises InvalidRequest naming `pageToken`."""
    try:
        content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        milliseconds, identifier, page, digest, *rest = json.loads(content)
        if not (isinstance(identifier, str) and type(page) is int and 1 <= page <= MAX_PAGE):
            raise ValueError(token)
        if len(rest) > 1 or not all(type(each) is int and 0 <= each <= MAX_PAGE for each in rest):
            raise ValueError(token)
        at = None if milliseconds is None else _EPOCH + timedelta(milliseconds=milliseconds)
        position = Position(at, identifier, page, rest[0] if rest else None)
    except (ValueError, TypeError, OverflowError, OSError, RecursionError):
        raise InvalidRequest.of("pageToken", "is not a token of this list") from None
    if digest != _digest(filters):
        raise InvalidRequest.of("pageToken", "belongs to other filters; send them unchanged")
    return position


def _digest(filters: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(filters, sort_keys=True).encode()).hexdigest()[:12]
