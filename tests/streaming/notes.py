"""A collection that no domain has: notes with an owner, a number and a draft that nobody hears of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bson import ObjectId

from server.storage.driver import Database
from server.streaming.source import ChangeSource
from server.streaming.watches import Event, Watches

NOTES = "notes"
PIPELINE: list[dict[str, Any]] = [
    {"$match": {"$expr": {"$ne": ["$updateDescription.updatedFields.draft", True]}}}
]


class NoOwner(Exception):
    """Nobody of that name."""


@dataclass(frozen=True, slots=True)
class NoteChange:
    kind: str
    owner: str
    number: int


def change_of(raw: Mapping[str, Any]) -> NoteChange | None:
    before, after = raw.get("fullDocumentBeforeChange"), raw.get("fullDocument")
    document = after or before
    if document is None or document["number"] < 0:
        return None
    return NoteChange("written" if after else "removed", document["owner"], document["number"])


class Notes:
    """The collection, its watches, and writes to it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.collection = database.collection(NOTES)
        self.seen: list[str] = []
        self.source = ChangeSource(database, NOTES, PIPELINE, change_of, self.seen.append)
        self.watches = Watches(self.source, self.admit)

    async def admit(self, owner: str) -> None:
        if owner == "nobody":
            raise NoOwner

    async def write(self, owner: str, *numbers: int) -> None:
        for number in numbers:
            await self.collection.insert_one({"_id": ObjectId(), "owner": owner, "number": number})

    @asynccontextmanager
    async def watching(
        self, owner: str | None = None, token: str | None = None
    ) -> AsyncIterator[tuple[AsyncGenerator[Event[NoteChange], None], str]]:
        """An open watch, and the token of its `ready`."""
        async with aclosing(self.watches.watch(owner, token)) as stream:
            ready = await anext(stream)
            assert (ready.kind, ready.change) == ("ready", None)
            yield stream, ready.resume_token


async def changes(
    stream: AsyncGenerator[Event[NoteChange], None], count: int
) -> list[tuple[str, NoteChange]]:
    """So many changes, each with its token."""
    found: list[tuple[str, NoteChange]] = []
    async with asyncio.timeout(30):  # never reached unless something is broken
        while len(found) < count:
            event = await anext(stream)
            if event.change is not None:
                assert event.kind == event.change.kind
                found.append((event.resume_token, event.change))
    return found


async def numbers(stream: AsyncGenerator[Event[NoteChange], None], count: int) -> list[int]:
    return [change.number for _, change in await changes(stream, count)]
