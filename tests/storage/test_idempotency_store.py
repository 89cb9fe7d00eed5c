"""Replies stored together with the change that they report."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from unittest.mock import patch

import pytest
from pymongo.errors import OperationFailure

from server.core.events import Event
from server.core.idempotency import (
    AlreadyReplied,
    CallUnderWay,
    IdempotencyRecord,
    KeyedCall,
    KeyedReply,
)
from server.security.encryption import Undecipherable, Vault
from server.storage.audit import AuditTrail, Codes
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession, Database
from server.storage.idempotency import ANSWERS, IdempotencyStore
from server.storage.leases import Leases

KEY = bytes(range(32))
TRANSIENT = OperationFailure("", details={"errorLabels": ["TransientTransactionError"]})
RECORD = IdempotencyRecord("a fingerprint", {"reply": "a secret"})


def store_of(database: Database, key: bytes = KEY) -> IdempotencyStore:
    return IdempotencyStore(database, Leases(database), Vault(key))


class Change:
    """A change of one document, made as a call with a key makes it."""

    def __init__(self, database: Database, records: IdempotencyStore) -> None:
        self.things = database.collection(f"things_{uuid.uuid4().hex}")
        self._changes = RecordedChanges(database, AuditTrail(database, Codes(KEY)))
        self._records = records

    async def make(self, result: object | None) -> object | None:
        def record(reply: str) -> IdempotencyRecord:
            return IdempotencyRecord("r", {"reply": reply})

        reply = KeyedReply(KeyedCall(self._records, "call", record), str)
        return await self._changes.make(self._work(result), lambda _: Event("thing.made"), reply)

    def _work(self, result: object | None) -> Callable[[ClientSession], Awaitable[object | None]]:
        async def work(session: ClientSession) -> object | None:
            await self.things.insert_one({}, session=session)
            return result

        return work

    async def try_twice(self, call: KeyedCall) -> None:
        """The first try has a result and is undone, the second finds that there is nothing to change."""
        tries = iter([17, None])

        async def work(session: ClientSession) -> int | None:
            found = next(tries)
            if found is not None:
                await self.things.insert_one({}, session=session)
            return found

        def event(result: int) -> Event:
            return Event("thing.made")

        with patch.object(Database, "_commit", side_effect=[TRANSIENT, None]):
            assert await self._changes.make(work, event, KeyedReply(call, str)) is None

    async def made(self) -> int:
        return await self.things.count_documents({})


async def test_a_reply_is_found_again_and_is_not_readable(database: Database) -> None:
    records = store_of(database)
    assert await records.find("call") is None
    await records.add([("call", RECORD)])
    assert await records.find("call") == RECORD
    assert "a secret" not in str(await database.collection(ANSWERS).find_one({}))
    with pytest.raises(Undecipherable):
        await store_of(database, bytes(32)).find("call")


async def test_a_call_is_replied_to_once(database: Database) -> None:
    records = store_of(database)
    await records.add([("call", RECORD)])
    with pytest.raises(AlreadyReplied):
        await records.add([("call", RECORD)])


async def test_a_call_is_served_by_one_at_a_time(database: Database) -> None:
    records = store_of(database)
    async with records.serving("call", timedelta(0)):
        with pytest.raises(CallUnderWay):
            async with records.serving("call", timedelta(0)):
                pass
    async with records.serving("call", timedelta(0)):
        pass


async def test_change_and_reply_come_together(database: Database) -> None:
    records = store_of(database)
    change = Change(database, records)
    assert await change.make(17) == 17
    kept = await records.find("call")
    assert kept is not None
    assert (kept.content, await change.made()) == ({"reply": "17"}, 1)


async def test_nothing_changes_where_another_process_has_replied(database: Database) -> None:
    records = store_of(database)
    change = Change(database, records)
    await records.add([("call", RECORD)])
    with pytest.raises(AlreadyReplied):
        await change.make(17)
    assert await change.made() == 0
    assert await records.find("call") == RECORD


async def test_a_change_that_turned_out_to_be_none_has_no_reply(database: Database) -> None:
    records = store_of(database)
    change = Change(database, records)
    assert await change.make(None) is None
    assert await records.find("call") is None


async def test_the_reply_of_a_try_that_was_undone_is_forgotten(database: Database) -> None:
    call = KeyedCall(store_of(database), "call", lambda _: RECORD)
    change = Change(database, store_of(database))
    await change.try_twice(call)
    assert (call.stored, await change.made()) == (None, 0)
