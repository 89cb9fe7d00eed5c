"""Records in MongoDB: collection `records`, one document an item, once each.

A document: connectorId (`Connector.records_id`), dataType, key (the item's identity), at (what lists
are ordered by), data (the item's fields), seen (the run that last saw it), addedAt, addedBy (the run
that saw it first), updatedAt, closedAt (holdings), withdrawnAt (transactions and trades).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, time
from functools import partial
from typing import Any, TypeAlias

import bson
from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateOne

from server.core.clock import utc_now
from server.core.model import Id, Model
from server.core.pages import PageRequest
from server.domains.connectors.records.documents import record_document
from server.platforms.base import Contents
from server.platforms.records import Item, Period, Profile, Trade, Transaction
from server.storage import paging
from server.storage.driver import ClientSession, Database, Document
from server.storage.mapping import Mapped
from server.storage.persistence import persistently

RECORDS = "records"
ERASURES = "record_erasures"
BATCH = 500
# Raises where the run may write no more.
Guard: TypeAlias = Callable[[ClientSession, int | None], Awaitable[None]]
_HAPPENED = (Transaction, Trade)
_NEWEST_FIRST = [("at", DESCENDING), ("_id", DESCENDING)]

INDEXES: Mapping[str, Sequence[IndexModel]] = {
    RECORDS: [
        IndexModel(["connectorId", "dataType", "key"], unique=True),
        IndexModel(["connectorId", *_NEWEST_FIRST]),
        IndexModel(["connectorId", "dataType", *_NEWEST_FIRST]),
    ]
}


class StoredRecord(Model, frozen=True):
    id: Id
    data_type: str
    data: Mapping[str, Any]
    added_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    withdrawn_at: datetime | None = None


_MAPPED = Mapped(StoredRecord)


class RecordStore:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._records = database.collection(RECORDS)
        self._readable = database.collection(RECORDS, allow_stale=True)
        self._erasures = database.collection(ERASURES)

    async def keep(
        self,
        records_id: str,
        data_type: str,
        items: Sequence[Item],
        run: str,
        guard: Guard,
        *,
        again: bool = False,
        closes: bool = False,
        periods: Sequence[Period] = (),
        in_part: bool = False,
    ) -> int:
        """Store the items a run fetched; gives how many were new. Safe to repeat.

        Transactions and trades stay as they were first seen, but a trade gains what was not known then
        (Zerodha gives its ISIN in another place, which may fail); holdings and the profile are updated.
        `guard` comes last in the transaction of each batch, and gets how many were new with the last
        one: if it raises, nothing was written. `again`: the run may have stored some before; they are
        counted as new like the others. `closes`: what it did not see any more is marked as closed.
        `periods`: what it did not see any more of these is marked as withdrawn. `in_part`: the items
        are not all there is, nor is all said about them.
        """
        now = utc_now()
        batches = [items[start : start + BATCH] for start in range(0, len(items), BATCH)] or [[]]
        added, writes = 0, 0

        async def write(session: ClientSession, number: int) -> int:
            nonlocal writes
            writes += 1
            upserts = [
                _upsert(records_id, data_type, item, run, now, in_part=in_part)
                for item in batches[number]
            ]
            fresh = added
            if upserts:
                result = await self._records.bulk_write(upserts, ordered=False, session=session)
                fresh += result.upserted_count
            if number < len(batches) - 1:
                await guard(session, None)
                return fresh
            if closes:
                await self._close_missing(records_id, data_type, run, now, session)
            await self._mark_withdrawn(records_id, data_type, items, run, now, periods, session)
            # After a second try nobody knows whether the first one had been committed.
            if again or writes > len(batches):
                fresh = await self._records.count_documents(
                    {"connectorId": records_id, "dataType": data_type, "addedBy": run},
                    session=session,
                )
            await guard(session, fresh)
            return fresh

        for number in range(len(batches)):
            added = await persistently(
                partial(self._database.transact, partial(write, number=number))
            )
        return added

    async def _close_missing(
        self, records_id: str, data_type: str, run: str, now: datetime, session: ClientSession
    ) -> None:
        await self._records.update_many(
            {
                "connectorId": records_id,
                "dataType": data_type,
                "seen": {"$ne": run},
                "closedAt": {"$exists": False},
            },
            {"$set": {"closedAt": now, "updatedAt": now}},
            session=session,
        )

    async def _mark_withdrawn(
        self,
        records_id: str,
        data_type: str,
        items: Sequence[Item],
        run: str,
        now: datetime,
        periods: Sequence[Period],
        session: ClientSession,
    ) -> None:
        """Mark what `run` did not see of its periods, and take the mark from what it saw again."""
        happened = [_ordered_by(item, now) for item in items if isinstance(item.record, _HAPPENED)]
        if not happened:
            return
        since = min([*happened, *(period.since for period in periods)])
        seen, marked = {"$eq": ["$seen", run]}, {"$eq": [{"$type": "$withdrawnAt"}, "date"]}
        query = {
            "connectorId": records_id,
            "dataType": data_type,
            "at": {"$gte": since},
            "$expr": {"$eq": [seen, marked]},  # that is, few
        }
        found = await self._records.find(query, session=session).to_list(None)
        back = [each["_id"] for each in found if "withdrawnAt" in each]
        gone = [
            each["_id"]
            for each in found
            if "withdrawnAt" not in each
            and any(_is_of(each, period) and each["at"] >= period.since for period in periods)
        ]
        changes: list[tuple[list[Any], Document]] = [
            (gone, {"$set": {"withdrawnAt": now, "updatedAt": now}}),
            (back, {"$unset": {"withdrawnAt": ""}, "$set": {"updatedAt": now}}),
        ]
        for ids, change in changes:
            if ids:
                await self._records.update_many({"_id": {"$in": ids}}, change, session=session)

    async def page(
        self, records_id: str, data_type: str | None, wanted: PageRequest
    ) -> tuple[list[StoredRecord], str | None]:
        """One page, newest first, and the token of the next. Raises InvalidRequest for a bad token."""
        connector_id = records_id.partition(".")[0]  # a token stays good when records are erased
        filters = {"connectorId": connector_id, "dataType": data_type}
        query: Document = {"connectorId": records_id}
        if data_type is not None:
            query["dataType"] = data_type

        async def find(part: Document, count: int) -> list[Document]:
            return await self._readable.find(part).sort(_NEWEST_FIRST).limit(count).to_list(None)

        documents, token = await paging.page(find, query, wanted, filters, "at")
        return [_MAPPED.read(document) for document in documents], token

    async def any(self, records_id: str) -> bool:
        return await self._records.find_one({"connectorId": records_id}, {"_id": 1}) is not None

    async def forget(self, records_ids: Sequence[str], session: ClientSession) -> None:
        """Have records that nothing refers to any more erased in the background."""
        if records_ids:
            documents = [{"_id": name, "requestedAt": utc_now()} for name in records_ids]
            await self._erasures.insert_many(documents, session=session)

    async def erase_some(self) -> bool:
        """Erase the records under one forgotten id; False where there is none.

        Once is enough: what a run still writes at that moment its guard takes back.
        """
        erasure = await self._erasures.find_one({}, sort=[("requestedAt", ASCENDING)])
        if erasure is None:
            return False
        await self._records.delete_many({"connectorId": erasure["_id"]})
        await self._erasures.delete_one({"_id": erasure["_id"]})
        return True


def response_digest(records_id: str, fetched: str) -> str:
    """Identifies the platform's response for the records under an id.

    The same responses mean the same items. Another one each day, as that of the items.
    """
    return _of_today(records_id, fetched.encode()).hexdigest()


def digest(records_id: str, contents: Contents) -> str:
    """Identifies the items that a run fetched for the records under an id, so that the same ones are not
    stored again. The same items mean something else if they are not all there is.

    Another one each day, at a time of the connector's own: whatever became of the records is put right.
    """
    fetched = sorted(
        (item.key, bson.encode(record_document(item.record))) for item in contents.items
    )
    hashed = _of_today(records_id, b"in part" if contents.faults else b"")
    for key, document in fetched:
        hashed.update(key.encode() + b"\0" + document)
    return hashed.hexdigest()


def _of_today(records_id: str, content: bytes) -> hashlib._Hash:
    created = int(records_id[:8], 16) if re.match("[0-9a-f]{8}", records_id) else 0
    day = int(utc_now().timestamp() + created) // 86_400
    return hashlib.sha256(repr((records_id, day)).encode() + content)


def _is_of(record: Document, period: Period) -> bool:
    return bool(record.get("data", {}).get(period.field) == period.group)


def _upsert(
    records_id: str, data_type: str, item: Item, run: str, now: datetime, *, in_part: bool
) -> UpdateOne:
    where = {"connectorId": records_id, "dataType": data_type, "key": item.key}
    data = record_document(item.record)
    at = _ordered_by(item, now)
    if isinstance(item.record, Transaction):
        first = {"at": at, "addedAt": now, "addedBy": run, "data": data, "updatedAt": now}
        return UpdateOne(where, {"$setOnInsert": first, "$set": {"seen": run}}, upsert=True)
    fetched: Document = {"$literal": data}
    happened = isinstance(item.record, Trade)
    if happened:  # fields in the order they had, as the order counts when documents are compared
        fetched = {"$mergeObjects": ["$data", fetched, "$data"]}
    elif in_part and isinstance(item.record, Profile):
        known = {name: value for name, value in data.items() if value != []}
        fetched = {"$mergeObjects": ["$data", {"$literal": known}]}
    is_new = {"$eq": [{"$type": "$addedAt"}, "missing"]}
    # `updatedAt` moves only where something changed, being closed included.
    changed = {"$or": [{"$ne": ["$data", fetched]}, {"$ne": [{"$type": "$closedAt"}, "missing"]}]}
    fields: Document = {
        "at": {"$ifNull": ["$at", at]},
        "addedAt": {"$ifNull": ["$addedAt", now]},
        "addedBy": {"$cond": [is_new, run, "$addedBy"]},
        "updatedAt": {"$cond": [changed, now, "$updatedAt"]},
        "seen": run,
    }
    if happened:
        return UpdateOne(where, [{"$set": {**fields, "data": fetched}}], upsert=True)
    update: list[Document] = [
        {"$set": {**fields, "fetched": fetched}},
        {"$unset": ["closedAt", "data"]},  # $set would merge the new fields into the old ones
        {"$set": {"data": "$fetched"}},
        {"$unset": "fetched"},
    ]
    return UpdateOne(where, update, upsert=True)


def _ordered_by(item: Item, now: datetime) -> datetime:
    """A time that never changes for an item: its own where it has one, else when it was first seen."""
    record = item.record
    if isinstance(record, Trade) and record.time is not None:
        return record.time
    if isinstance(record, Transaction | Trade) and record.date is not None:
        return datetime.combine(record.date, time(), UTC)
    return now
