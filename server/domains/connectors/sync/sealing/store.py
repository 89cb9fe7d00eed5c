"""Records that an earlier release wrote in clear, and the lease under which a connector's are sealed.

The lease keeps runs of the connector away: `sync.sealing` says until when, by MongoDB's clock, and
`sync.fence` grows as with every claim, so that whoever had the connector before writes nothing more.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import ClassVar

from bson import ObjectId
from pymongo import ASCENDING, DeleteOne, UpdateOne

from server.core.clock import milliseconds, utc_now
from server.domains.connectors.connections.expressions import plus_one
from server.domains.connectors.connections.store import (
    BEING_SEALED,
    CONNECTORS,
    NOT_BEING_SEALED,
    SYNC_JOBS,
)
from server.domains.connectors.model import RecordSet
from server.domains.connectors.records.boxes import RecordBox, key_owner
from server.domains.connectors.records.postings import PostingRequests
from server.domains.connectors.records.store import BATCH, ERASURES, IS_UNSEALED, RECORDS, UNSEALED
from server.domains.connectors.records.writes import is_compared
from server.kernel import SealedRows
from server.storage.data_keys import owners_without_key
from server.storage.driver import ClientSession, Database, Document
from server.storage.updates import change

LEASE = timedelta(seconds=15)
ERASED = "recordsErased"
_OF_RECORDS = {"userId": 1, ERASED: 1}
_AT_A_TIME = 1_000  # connectors whose keys are looked up
_UNTIL = {"$add": ["$$NOW", milliseconds(LEASE)]}


@dataclass(frozen=True, slots=True)
class SealingLease:
    """A connector whose records are being sealed."""

    connector_id: ObjectId
    fence: int
    records: RecordSet
    erased: int | None

    @property
    def where(self) -> Document:
        """The filter for the connector while this lease is on, and its records are the same."""
        return {
            "_id": self.connector_id,
            SYNC_JOBS.fence: self.fence,
            BEING_SEALED: {"$exists": True},
            ERASED: self.erased,
        }


class SealingStore:
    """Driver errors pass through."""

    def __init__(self, database: Database) -> None:
        self._records = database.collection(RECORDS)
        self._erasures = database.collection(ERASURES)
        self._connectors = database.collection(CONNECTORS)

    async def next_unsealed(self, after: str) -> str | None:
        """The next id of a set with records in clear, in the order of ids."""
        query = {"connectorId": {"$gt": after}, **IS_UNSEALED}
        found = await self._records.find_one(
            query, {"connectorId": 1}, sort=[("connectorId", ASCENDING)], hint=UNSEALED
        )
        return str(found["connectorId"]) if found else None

    async def lease(self, records_id: str) -> SealingLease | None:
        """Take the connector that has these records; None if a run or another process has it."""
        document = await change(
            self._connectors,
            {
                "_id": _connector_of(records_id),
                SYNC_JOBS.leased: {"$exists": False},
                **NOT_BEING_SEALED,
            },
            {BEING_SEALED: _UNTIL, SYNC_JOBS.fence: plus_one(SYNC_JOBS.fence)},
            projection={**_OF_RECORDS, SYNC_JOBS.fence: 1},
        )
        if document is None:
            return None
        fence, erased = document["sync"]["fence"], document.get(ERASED)
        return SealingLease(document["_id"], fence, _records_of(document), erased)

    async def release(self, lease: SealingLease) -> None:
        await self._connectors.update_one(lease.where, {"$unset": {BEING_SEALED: ""}})

    async def is_forgotten(self, records_id: str) -> bool:
        """Whether no connector has these records any more. They are then erased, if nobody does so yet."""
        query = {"_id": _connector_of(records_id)}
        connector = await self._connectors.find_one(query, _OF_RECORDS)
        if connector is not None and _records_of(connector).id == records_id:
            return False
        requested = {"$setOnInsert": {"requestedAt": utc_now()}}
        await self._erasures.update_one({"_id": records_id}, requested, upsert=True)
        return True

    async def seal_some(
        self, lease: SealingLease, box: RecordBox, session: ClientSession
    ) -> int | None:
        """Seal some of the records, and extend the lease; gives how many. None if the lease is lost.

        The digests of the last replies are forgotten: they were plain hashes.
        """
        query = {"connectorId": lease.records.id, **IS_UNSEALED}
        found = self._records.find(query, session=session, hint=UNSEALED, batch_size=BATCH + 1)
        documents = await found.limit(BATCH).to_list(None)
        if documents:
            twice = await self._sealed_already(box, documents, session)
            await self._records.bulk_write(
                [_request(box, document, twice) for document in documents],
                ordered=False,
                session=session,
            )
        extended = {BEING_SEALED: _UNTIL, "sync.kept": "$$REMOVE", "sync.answers": "$$REMOVE"}
        result = await self._connectors.update_one(
            lease.where, [{"$set": extended}], session=session
        )
        return len(documents) if result.matched_count == 1 else None

    async def _sealed_already(
        self, box: RecordBox, documents: Sequence[Document], session: ClientSession
    ) -> set[tuple[str, bytes]]:
        """Data type and token of those that are there in both forms.

        A worker of an earlier release stores again what it does not find, while it is still running.
        """
        tokens = [box.token(each["dataType"], each["key"]) for each in documents]
        query = {
            "connectorId": box.records_id,
            "dataType": {"$in": sorted({each["dataType"] for each in documents})},
            "key": {"$in": tokens},
        }
        found = await self._records.find(query, ["dataType", "key"], session=session).to_list(None)
        return {(each["dataType"], bytes(each["key"])) for each in found}


class SealedRecords(SealedRows):
    """Records as commands and servers that start see them. Each connector is an owner."""

    fields: ClassVar[Mapping[str, str]] = MappingProxyType({RECORDS: "sealed"})

    def __init__(self, database: Database) -> None:
        self._database = database
        self._records = database.collection(RECORDS)
        self._erasures = database.collection(ERASURES)
        self._connectors = database.collection(CONNECTORS)
        self._postings = PostingRequests(database)

    async def count_unsealed(self) -> int:
        return await self._records.count_documents(IS_UNSEALED, hint=UNSEALED)

    async def count_keyless(self, sample: int | None = None) -> int:
        if sample is None:
            return sum([1 async for _ in self._keyless()])
        stages = [{"$sample": {"size": sample}}, {"$project": _OF_RECORDS}]
        found = await self._database.aggregate(self._connectors, stages)
        return len(await self._without_key(found))

    async def erase_keyless(self) -> int:
        """A connector that syncs then fetches its records again, under a new key."""
        erased = 0
        async for connector in self._keyless():
            erased += await self._database.transact(partial(self._erase, connector))
        return erased

    async def _keyless(self) -> AsyncIterator[Document]:
        after: Document = {}
        while True:
            found = self._connectors.find(after, _OF_RECORDS).sort("_id", ASCENDING)
            connectors = await found.limit(_AT_A_TIME).to_list(None)
            for connector in await self._without_key(connectors):
                yield connector
            if len(connectors) < _AT_A_TIME:
                return
            after = {"_id": {"$gt": connectors[-1]["_id"]}}

    async def _without_key(self, connectors: Sequence[Document]) -> list[Document]:
        """Those that have sealed records and no key."""
        owners = {key_owner(_records_of(each)): each for each in connectors}
        lacking = await owners_without_key(self._database, list(owners))
        return [owners[owner] for owner in lacking if await self._has_sealed(owners[owner])]

    async def _has_sealed(self, connector: Document) -> bool:
        query = {"connectorId": _records_of(connector).id, "sealed": {"$exists": True}}
        return await self._records.find_one(query, {"_id": 1}) is not None

    async def _erase(self, connector: Document, session: ClientSession) -> int:
        change = {"$inc": {ERASED: 1}, "$unset": {"sync.kept": "", "sync.answers": ""}}
        same = {"_id": connector["_id"], ERASED: connector.get(ERASED)}
        result = await self._connectors.update_one(same, change, session=session)
        if result.matched_count:
            erasure = {"_id": _records_of(connector).id, "requestedAt": utc_now()}
            await self._erasures.insert_one(erasure, session=session)
            await self._postings.erased(_records_of(connector).id, session)
        return result.matched_count


def _request(
    box: RecordBox, document: Document, twice: Collection[tuple[str, bytes]]
) -> UpdateOne | DeleteOne:
    """The write that leaves one sealed document of this item."""
    data_type, key = document["dataType"], document["key"]
    token = box.token(data_type, key)
    if (data_type, token) in twice:
        return DeleteOne({"_id": document["_id"]})
    data = box.data_of(document)
    sealed = box.sealed(token, key, data, compared=is_compared(data_type))
    return UpdateOne({"_id": document["_id"]}, {"$set": sealed, "$unset": {"data": ""}})


def _connector_of(records_id: str) -> ObjectId | None:
    connector_id = records_id.partition(".")[0]
    return ObjectId(connector_id) if ObjectId.is_valid(connector_id) else None


def _records_of(connector: Document) -> RecordSet:
    """The records that a connector has now, of its document."""
    name, erased = str(connector["_id"]), connector.get(ERASED) or 0
    return RecordSet(connector["userId"], f"{name}.{erased}" if erased else name)
