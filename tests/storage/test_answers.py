"""Answers kept together with the change they answer."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from server.core.events import Event
from server.core.idempotency import Answer, AnswerExists, CallUnderWay, KeyedCall, enter_keyed_call
from server.security.encryption import Undecipherable, Vault
from server.storage.answers import ANSWERS, AnswerStore
from server.storage.audit import AuditTrail, Codes
from server.storage.changes import RecordedChanges
from server.storage.driver import Database, Session
from server.storage.leases import Leases

KEY = bytes(range(32))
ANSWER = Answer("a fingerprint", {"reply": "a secret"})


def store_of(database: Database, key: bytes = KEY) -> AnswerStore:
    return AnswerStore(database, Leases(database), Vault(key))


def _answer(reply: str) -> Answer:
    return Answer("r", {"reply": reply})


class Change:
    """A change of one document, made as a call with a key makes it."""

    def __init__(self, database: Database, answers: AnswerStore) -> None:
        self.things = database.collection(f"things_{uuid.uuid4().hex}")
        self._changes = RecordedChanges(database, AuditTrail(database, Codes(KEY)))
        self._answers = answers

    async def make(self, result: object | None) -> object | None:
        async def call() -> object | None:
            enter_keyed_call(
                KeyedCall(self._answers, "call", lambda reply: Answer("r", {"reply": reply}), str)
            )
            return await self._changes.make(self._work(result), lambda _: Event("thing.made"))

        return await asyncio.create_task(call())  # a task, so that no other test is in the call

    def _work(self, result: object | None) -> Callable[[Session], Awaitable[object | None]]:
        async def work(session: Session) -> object | None:
            await self.things.insert_one({}, session=session)
            return result

        return work

    async def made(self) -> int:
        return await self.things.count_documents({})


async def test_an_answer_is_found_again_and_is_not_readable(database: Database) -> None:
    answers = store_of(database)
    assert await answers.find("call") is None
    await answers.keep([("call", ANSWER)])
    assert await answers.find("call") == ANSWER
    assert "a secret" not in str(await database.collection(ANSWERS).find_one({}))
    with pytest.raises(Undecipherable):
        await store_of(database, bytes(32)).find("call")


async def test_a_call_is_answered_once(database: Database) -> None:
    answers = store_of(database)
    await answers.keep([("call", ANSWER)])
    with pytest.raises(AnswerExists):
        await answers.keep([("call", ANSWER)])


async def test_a_call_is_served_by_one_at_a_time(database: Database) -> None:
    answers = store_of(database)
    async with answers.serving("call", timedelta(0)):
        with pytest.raises(CallUnderWay):
            async with answers.serving("call", timedelta(0)):
                pass
    async with answers.serving("call", timedelta(0)):
        pass


async def test_change_and_answer_come_together(database: Database) -> None:
    answers = store_of(database)
    change = Change(database, answers)
    assert await change.make(17) == 17
    kept = await answers.find("call")
    assert kept is not None
    assert (kept.content, await change.made()) == ({"reply": "17"}, 1)


async def test_nothing_changes_where_another_process_has_answered(database: Database) -> None:
    answers = store_of(database)
    change = Change(database, answers)
    await answers.keep([("call", ANSWER)])
    with pytest.raises(AnswerExists):
        await change.make(17)
    assert await change.made() == 0
    assert await answers.find("call") == ANSWER


async def test_a_change_that_turned_out_to_be_none_is_not_answered(database: Database) -> None:
    answers = store_of(database)
    change = Change(database, answers)
    assert await change.make(None) is None
    assert await answers.find("call") is None
