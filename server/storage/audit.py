"""The audit trail in MongoDB: collection `audit_events`, which is only added to; its head in `audit_head`.

How events are sealed and verified is in `server/domains/audit/README.md`. The key is not in MongoDB.
"""

import hmac
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId
from msgspec import to_builtins
from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateOne
from pymongo.errors import DuplicateKeyError

from server.core.clock import utc_now
from server.core.events import Actor, Event, current_actor
from server.storage.driver import ClientSession, Database, Document, insert

AUDIT_EVENTS = "audit_events"
AUDIT_HEAD = "audit_head"
CODES_KEY = "audit trail"  # the name of its key among the keyed secrets
BATCH = 1000
READ_AT_ONCE = 5000
NO_LINK = "0" * 64

_NEWEST_FIRST = [("at", DESCENDING), ("_id", DESCENDING)]
_ADDED_LATER = frozenset({"mac", "sequence", "link", "unsealed"})  # to what an event says
INDEXES: Mapping[str, Sequence[IndexModel]] = {
    AUDIT_EVENTS: [
        IndexModel("sequence", unique=True, partialFilterExpression={"sequence": {"$gt": 0}}),
        # In the order in which they are sealed, so that a batch reads no more than itself.
        IndexModel(["unsealed", "_id"], partialFilterExpression={"unsealed": True}),
        IndexModel(_NEWEST_FIRST),
        IndexModel(["userId", *_NEWEST_FIRST], sparse=True),
        IndexModel(["action", *_NEWEST_FIRST]),
        # Partial, because a sparse index of several fields has every event: each of them has a time.
        IndexModel(
            ["connectorId", *_NEWEST_FIRST],
            name="of_a_connector",
            partialFilterExpression={"connectorId": {"$exists": True}},
        ),
        IndexModel(
            ["actor.key", *_NEWEST_FIRST],
            name="of_an_api_key",
            partialFilterExpression={"actor.key": {"$exists": True}},
        ),
    ]
}
RETIRED: Mapping[str, Sequence[str]] = {
    AUDIT_EVENTS: ["connectorId_1_at_-1__id_-1", "actor.key_1_at_-1__id_-1"]
}


@dataclass(frozen=True, slots=True)
class Head:
    """The newest sealed event: its number and its link."""

    sequence: int = 0
    link: str = NO_LINK


class HeadChanged(Exception):
    """Another process has sealed meanwhile."""


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


_CANONICAL = json.JSONEncoder(sort_keys=True, default=_plain)


class Codes:
    """The codes that only who has the key can make."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of_event(self, document: Mapping[str, Any]) -> str:
        """Over all that an event says."""
        said = {key: value for key, value in document.items() if key not in _ADDED_LATER}
        return self._code("event", _CANONICAL.encode(said))

    def fits(self, document: Mapping[str, Any]) -> bool:
        """Whether the code of an event is the one of what it says."""
        found = document.get("mac")
        return isinstance(found, str) and hmac.compare_digest(
            self.of_event(document).encode(), found.encode()
        )

    def of_link(self, before: str, sequence: int, mac: str) -> str:
        return self._code("link", f"{before}/{sequence}/{mac}")

    def of_head(self, head: Head) -> str:
        return self._code("head", f"{head.sequence}/{head.link}")

    def _code(self, what: str, text: str) -> str:
        return hmac.digest(self._key, f"{what}:{text}".encode(), "sha256").hex()


class AuditTrail:
    """Adds to the trail, seals and reads it. Driver errors pass through."""

    def __init__(self, database: Database, codes: Codes) -> None:
        self._database = database
        self._events = database.collection(AUDIT_EVENTS, allow_stale=True)
        self._heads = database.collection(AUDIT_HEAD)
        self.codes = codes

    async def add(self, event: Event, session: ClientSession | None = None) -> None:
        """Record `event`, done by the current actor, in the transaction that does it."""
        await self.add_all([(event, current_actor())], session)

    async def add_all(
        self, events: Sequence[tuple[Event, Actor]], session: ClientSession | None = None
    ) -> None:
        """Record events and who did them, in the transaction that does it."""
        documents = [_document(event, actor) for event, actor in events]
        for document in documents:
            document["mac"] = self.codes.of_event(document)
            document["unsealed"] = True
        if documents:
            await insert(self._events, documents, session)

    async def has_unsealed(self) -> bool:
        return await self._events.find_one({"unsealed": True}, {"_id": 1}) is not None

    async def seal_some(self) -> list[Document]:
        """Seal a batch of what is unsealed, and give it. Raises HeadChanged."""
        # The head first: who seals what is found now moves the head, and so is found out below.
        before = await self.head()
        cursor = self._events.find({"unsealed": True}).sort("_id", ASCENDING).limit(BATCH)
        events = await cursor.to_list(None)
        if not events:
            return events
        sequence, link = before.sequence, before.link
        writes = []
        for event in events:
            sequence += 1
            # One that somebody put in may have no code; it must not delay the others.
            link = self.codes.of_link(link, sequence, str(event.get("mac")))
            sealed = {"$set": {"sequence": sequence, "link": link}, "$unset": {"unsealed": ""}}
            writes.append(UpdateOne({"_id": event["_id"]}, sealed))
        mac = self.codes.of_head(Head(sequence, link))
        head = {"$set": {"sequence": sequence, "link": link, "mac": mac}}

        async def write(session: ClientSession) -> None:
            try:
                moved = await self._heads.update_one(
                    {"_id": "head", "sequence": before.sequence},
                    head,
                    upsert=before.sequence == 0,
                    session=session,
                )
            except DuplicateKeyError:  # the first head, made by another process
                raise HeadChanged from None
            if moved.matched_count == 0 and moved.upserted_id is None:
                raise HeadChanged
            done = await self._events.bulk_write(writes, session=session)
            if done.matched_count != len(writes):
                raise HeadChanged

        await self._database.transact(write)
        return events

    async def head(self) -> Head:
        """As it is stored; `verify` finds out whether it is right."""
        document = await self._heads.find_one({"_id": "head"})
        return Head(document.get("sequence", 0), str(document.get("link"))) if document else Head()

    async def head_code(self) -> str | None:
        document = await self._heads.find_one({"_id": "head"})
        return document.get("mac") if document else None

    async def sealed(self) -> AsyncIterator[list[Document]]:
        """All sealed events in their order, many at a time."""
        query = {"sequence": {"$gt": 0}}
        cursor = self._events.find(query, batch_size=READ_AT_ONCE).sort("sequence", ASCENDING)
        while events := await cursor.to_list(READ_AT_ONCE):
            yield events

    async def unsealed(self) -> AsyncIterator[Document]:
        """All others, whatever stands where their number should be."""
        async for document in self._events.find({"sequence": {"$not": {"$gt": 0}}}):
            yield document

    async def since(
        self, action: str, moment: datetime, users: Sequence[str] | None = None
    ) -> list[Document]:
        """All events of an action from a moment on; with `users`, only those about them."""
        query: Document = {"action": action, "at": {"$gte": moment}}
        if users is not None:
            query["userId"] = {"$in": list(users)}
        return await self._events.find(query).to_list(None)

    async def find(self, query: Document, count: int) -> list[Document]:
        """Newest first."""
        return await self._events.find(query).sort(_NEWEST_FIRST).limit(count).to_list(None)


def _document(event: Event, actor: Actor) -> Document:
    event_of, by = to_builtins(event), to_builtins(actor)
    document: Document = {"_id": ObjectId(), "at": utc_now(), **event_of, "actor": by}
    if not event.fields:
        document.pop("fields", None)
    return document
