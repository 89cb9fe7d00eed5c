"""Records in MongoDB: collection `records`, one document an item, once each.

A document: connectorId (`Connector.records_id`), dataType, key (a token of the item's identity), at (what
lists are ordered by), sealed (the item's fields) and mac (a token of them, where they may change), seen (the
run that last saw it), addedAt, addedBy (the run that saw it first), updatedAt, closedAt (holdings),
withdrawnAt (transactions and trades), unposted (transactions, until somebody has taken them: `posting/`). An
earlier release wrote key and `data` in clear.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from pymongo import (
    ASCENDING,
    DESCENDING,
    DeleteMany,
    IndexModel,
    InsertOne,
    UpdateMany,
    UpdateOne,
)

from server.core.clock import utc_now
from server.core.pages import PageRequest
from server.domains.connectors.model import RecordSet
from server.domains.connectors.records.absences import Absences
from server.domains.connectors.records.boxes import DataKeyMissing, RecordBox, key_owner
from server.domains.connectors.records.model import StoredRecord
from server.domains.connectors.records.postings import PostingRequests
from server.domains.connectors.records.writes import UNPOSTED, Batch, Writes, is_compared
from server.platforms.records import Item, Period
from server.storage import paging
from server.storage.data_keys import DataKeyStore, KeyExists, new_data_key
from server.storage.driver import ClientSession, Database, Document
from server.storage.mapping import Mapped
from server.storage.persistence import persistently

RECORDS = "records"
ERASURES = "record_erasures"
BATCH = 500
# Of documents that an earlier release wrote: empty once all are sealed.
UNSEALED = "unsealed"
IS_UNSEALED: Document = {"data": {"$exists": True}}
# Raises where the run may write no more.
Guard: TypeAlias = Callable[[ClientSession, int | None], Awaitable[None]]
_NEWEST_FIRST = [("at", DESCENDING), ("_id", DESCENDING)]

INDEXES: Mapping[str, Sequence[IndexModel]] = {
    RECORDS: [
        IndexModel(["connectorId", "dataType", "key"], unique=True),
        IndexModel(["connectorId", *_NEWEST_FIRST]),
        IndexModel(["connectorId", "dataType", *_NEWEST_FIRST]),
        IndexModel("connectorId", name=UNSEALED, partialFilterExpression=IS_UNSEALED),
        IndexModel(
            ["connectorId", "at", "_id"], name=UNPOSTED, partialFilterExpression={UNPOSTED: True}
        ),
    ]
}


_MAPPED = Mapped(StoredRecord)


class RecordStore:
    """Driver errors pass through, as do MissingKey and Undecipherable of data keys."""

    def __init__(self, database: Database, keys: DataKeyStore) -> None:
        self._database = database
        self._keys = keys
        self._records = database.collection(RECORDS)
        self._readable = database.collection(RECORDS, allow_stale=True)
        self._erasures = database.collection(ERASURES)
        self._absences = Absences(database)
        self._postings = PostingRequests(database)

    async def box_of(self, records: RecordSet) -> RecordBox:
        """The box of these records: with their key, or a new one if nothing is sealed yet.

        Raises DataKeyMissing if something is.
        """
        owner = key_owner(records)
        key = await self._keys.of(owner)
        if key is None:
            sealed = {"connectorId": records.id, "sealed": {"$exists": True}}
            if await self._records.find_one(sealed, {"_id": 1}) is not None:
                raise DataKeyMissing
        return RecordBox(records, key or new_data_key(owner))

    async def keep(
        self,
        box: RecordBox,
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

        `Batch` says what becomes of each. `guard` comes last in the transaction of each batch, and gets
        how many were new with the last one: if it raises, nothing was written. `again`: the run may have
        stored some before; they are counted as new like the others. `closes`: what it did not see any more
        is marked as closed. `periods`: what it did not see any more of these is marked as withdrawn.
        `in_part`: the items are not all there is, nor is all said about them.
        """
        records_id = box.records_id
        batches = [items[start : start + BATCH] for start in range(0, len(items), BATCH)] or [[]]
        batch = Batch(box, data_type, run, utc_now(), in_part)
        unsealed = await persistently(partial(self.has_unsealed, records_id))
        added, writes = 0, 0

        async def write(session: ClientSession, number: int) -> int:
            nonlocal writes
            writes += 1
            await self._store_key(box, guard, session)
            found = await self._found(batch, batches[number], session, unsealed=unsealed)
            written = batch.writes(batches[number], found)
            fresh = added + await self._write(written, run, session)
            stored, is_last = written.posted_later, number == len(batches) - 1
            if is_last:
                stored += await self._absences.mark(batch, items, periods, session, closes=closes)
            await self._postings.note(records_id, data_type, session, stored=stored, last=is_last)
            if not is_last:
                await guard(session, None)
                return fresh
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
            box.key.stored = True
        return added

    async def _store_key(self, box: RecordBox, guard: Guard, session: ClientSession) -> None:
        """Store a new key with the first records that it seals."""
        if box.key.stored:
            return
        try:
            await self._keys.add(box.key, session)
        except KeyExists:
            await guard(session, None)  # another worker has made it, so this run has lost its lease
            raise

    async def _found(
        self, batch: Batch, items: Sequence[Item], session: ClientSession, *, unsealed: bool
    ) -> list[Document]:
        """The documents of the items: in both forms, if some are not sealed yet."""
        box, data_type = batch.box, batch.data_type
        keys: list[bytes | str] = [box.token(data_type, item.key) for item in items]
        if unsealed:
            keys += [item.key for item in items]
        if not keys:
            return []
        fields = [
            "key",
            "data",
            UNPOSTED,
            *(["mac", "sealed", "closedAt"] if is_compared(data_type) else []),
        ]
        query = {"connectorId": box.records_id, "dataType": data_type, "key": {"$in": keys}}
        cursor = self._records.find(query, fields, session=session, batch_size=2 * BATCH + 1)
        return await cursor.to_list(None)

    async def _write(self, writes: Writes, run: str, session: ClientSession) -> int:
        """Gives how many are new."""
        requests: list[InsertOne[Document] | UpdateOne | UpdateMany | DeleteMany] = [
            *(InsertOne(document) for document in writes.inserts),
            *(UpdateOne({"_id": each.id}, each.change) for each in writes.updates),
        ]
        if writes.seen:
            requests.append(UpdateMany({"_id": {"$in": writes.seen}}, {"$set": {"seen": run}}))
        if writes.unposted:
            marked = {"$set": {"seen": run, UNPOSTED: True}}
            requests.append(UpdateMany({"_id": {"$in": writes.unposted}}, marked))
        if writes.removed:
            requests.append(DeleteMany({"_id": {"$in": writes.removed}}))
        if not requests:
            return 0
        result = await self._records.bulk_write(requests, ordered=False, session=session)
        return int(result.inserted_count)

    async def page(
        self, records: RecordSet, data_type: str | None, wanted: PageRequest
    ) -> tuple[list[StoredRecord], str | None]:
        """One page, newest first, and the token of the next.

        Raises InvalidRequest for a bad token, and DataKeyMissing.
        """
        connector_id = records.id.partition(".")[0]  # a token stays good when records are erased
        filters = {"connectorId": connector_id, "dataType": data_type}
        query: Document = {"connectorId": records.id}
        if data_type is not None:
            query["dataType"] = data_type

        async def find(part: Document, count: int) -> list[Document]:
            return await self._readable.find(part).sort(_NEWEST_FIRST).limit(count).to_list(None)

        key, (documents, token) = await asyncio.gather(
            self._keys.of(key_owner(records), allow_stale=True),
            paging.page(find, query, wanted, filters, "at"),
        )
        sealed = [document for document in documents if "sealed" in document]
        if sealed:
            if key is None:
                raise DataKeyMissing
            box = RecordBox(records, key)
            for document in sealed:
                document["data"] = box.data_of(document)
        return [_MAPPED.read(document) for document in documents], token

    async def any(self, records_id: str) -> bool:
        return await self._records.find_one({"connectorId": records_id}, {"_id": 1}) is not None

    async def has_unsealed(self, records_id: str) -> bool:
        """Whether some of them are as an earlier release wrote them."""
        query = {"connectorId": records_id, **IS_UNSEALED}
        return await self._records.find_one(query, {"_id": 1}, hint=UNSEALED) is not None

    async def destroy_key(self, records: RecordSet, session: ClientSession) -> None:
        """No copy of these records opens any more."""
        await self._keys.destroy(key_owner(records), session)

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
