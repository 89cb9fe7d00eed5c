"""A worker misses nothing that was revoked, reads seldom, and lets nobody pass if it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from pymongo.errors import AutoReconnect, PyMongoError

from server.cache.generations import Generations
from server.core.errors import SessionEnded, Unavailable
from server.domains.identity.tokens import revocations
from server.domains.identity.tokens.model import Revocation
from server.domains.identity.tokens.revocations import Revocations
from server.domains.identity.tokens.store import REVOCATIONS, RevocationStore
from server.storage.driver import ClientSession, Database, connected
from server.storage.errors import translate
from tests.domains.identity.tokens.endings import (
    ENDINGS,
    LONG,
    RAVI,
    end_session,
    end_user,
    made,
)
from tests.domains.identity.tokens.workers import ASHA, LIFE, TurnableClock, Worker, worker
from tests.mongodb import MongoDb, running
from tests.stack import free_ports
from tests.storage.databases import settings


async def test_what_commits_late_is_not_missed(
    hosts: tuple[Worker, Worker, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written before another, and committed after others have read that one."""
    monkeypatch.setattr(revocations, "FRESH_SECONDS", 0.0)
    one, _, elsewhere = hosts
    asha, ravi = await one.issue(), await one.issue(RAVI)
    for token in (asha, ravi):
        await elsewhere.tokens.by_token(token)
    written, may_commit = asyncio.Event(), asyncio.Event()

    async def slow(session: ClientSession) -> None:
        await one.revoke.end_sessions([ASHA.session_id], session)
        written.set()
        await may_commit.wait()

    committing = asyncio.create_task(one.kernel.database.transact(slow))
    await written.wait()
    await one.kernel.database.transact(partial(one.revoke.end_sessions, [RAVI.session_id]))
    with pytest.raises(SessionEnded):
        await elsewhere.tokens.by_token(ravi)
    await elsewhere.tokens.by_token(asha)
    moments = one.kernel.database.collection(REVOCATIONS)
    assert await moments.count_documents({}) == 1

    may_commit.set()
    await committing
    first, second = await moments.find({}).sort("at").to_list(None)
    assert (first["of"], second["of"]) == (ASHA.session_id, RAVI.session_id)
    with pytest.raises(SessionEnded):
        await elsewhere.tokens.by_token(asha)
    with pytest.raises(SessionEnded):
        await elsewhere.tokens.by_token(ravi)


async def test_a_worker_that_starts_knows_what_ended_before(
    hosts: tuple[Worker, Worker, Worker], database: Database, clock: TurnableClock
) -> None:
    one, *_ = hosts
    token = await one.issue()
    await made(one, end_session)
    await database.collection(REVOCATIONS).update_many(
        {}, [{"$set": {"at": {"$subtract": ["$at", 10 * 60 * 1000]}}}]
    )
    await made(one, end_user)
    with pytest.raises(SessionEnded):
        await worker(database, clock).tokens.by_token(token)


async def test_revocations_are_kept_for_as_long_as_a_token_lives(
    hosts: tuple[Worker, Worker, Worker], database: Database, clock: TurnableClock
) -> None:
    one, *_ = hosts
    before = clock.now()
    await made(one, end_session)
    after = clock.now()
    document = await database.collection(REVOCATIONS).find_one({})
    assert document is not None
    kept = LIFE + timedelta(seconds=90)
    assert before + kept <= document["expiresAt"] <= after + kept
    indexes = await database.collection(REVOCATIONS).index_information()
    assert indexes["expiresAt_1"]["expireAfterSeconds"] == 0


async def test_a_worker_forgets_what_no_token_is_left_of(
    database: Database, clock: TurnableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocations, "FRESH_SECONDS", 0.0)
    one = worker(database, clock)
    for ending, _ in ENDINGS:
        await made(one, ending)
    known = Revocations(RevocationStore(database), Generations(), clock)
    await known.read()
    assert sum(map(len, known._known.values())) == 3
    clock.turn(LIFE + timedelta(seconds=80))
    await known.read()
    assert sum(map(len, known._known.values())) == 3
    await database.collection(REVOCATIONS).delete_many({})  # as MongoDB does by itself
    clock.turn(LIFE + timedelta(minutes=3))
    await known.read()
    assert sum(map(len, known._known.values())) == 0


class CountedStore(RevocationStore):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.reads = 0

    async def ids_since(self, at: datetime | None) -> Sequence[Hashable]:
        self.reads += 1
        return await super().ids_since(at)


async def test_all_who_wait_share_a_read_and_calls_cost_none(
    hosts: tuple[Worker, Worker, Worker],
    database: Database,
    clock: TurnableClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(revocations, "FRESH_SECONDS", LONG)
    one, *_ = hosts
    generations = Generations()
    store = CountedStore(database)
    known = Revocations(store, generations, clock)
    await asyncio.gather(*(known.read() for _ in range(100)))
    assert store.reads == 1
    await known.read()
    assert store.reads == 1
    await asyncio.gather(*(known.read_again() for _ in range(100)))
    assert store.reads == 2

    one.tokens._revocations = known
    for _ in range(3):
        token = await one.issue()
        for _ in range(10):
            await one.tokens.by_token(token)
    assert store.reads == 2
    generations.close(f"sessions of {ASHA.user}")
    await one.tokens.by_token(token)
    await one.tokens.by_token(token)
    assert store.reads == 3


class BreakingStore(RevocationStore):
    """A connection that breaks once, when the newest has come."""

    async def get(
        self, ids: Sequence[Hashable]
    ) -> AsyncIterator[list[tuple[datetime, Revocation]]]:
        whole, self.whole = self.whole, True
        for each in ids[0 if whole else -1 :]:
            async for found in super().get([each]):
                yield found
        if not whole:
            raise AutoReconnect

    whole = False


async def test_a_read_that_breaks_on_the_way_is_made_again_in_full(
    database: Database, clock: TurnableClock
) -> None:
    one = worker(database, clock)
    asha, ravi = await one.issue(), await one.issue(RAVI)
    await database.transact(partial(one.revoke.end_sessions, [ASHA.session_id]))
    await database.collection(REVOCATIONS).update_many(
        {}, [{"$set": {"at": {"$subtract": ["$at", 10 * 60 * 1000]}}}]
    )
    await database.transact(partial(one.revoke.end_sessions, [RAVI.session_id]))
    one.tokens._revocations = Revocations(BreakingStore(database), Generations(), clock)
    with pytest.raises(AutoReconnect):
        await one.tokens.by_token(asha)
    for token in (asha, ravi):
        with pytest.raises(SessionEnded):
            await one.tokens.by_token(token)


async def test_where_mongodb_cannot_be_reached_nobody_passes(
    tmp_path: Path, clock: TurnableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    of = settings(MongoDb(port).uri, "pymongo", mongo_timeout_ms=500)
    async with connected(of) as database:
        one = worker(database, clock)
        async with running(tmp_path, port):
            tokens = [await one.issue() for _ in range(2)]
            await one.tokens.by_token(tokens[0])
        monkeypatch.setattr(revocations, "FRESH_SECONDS", 0.0)
        for attempt in (
            one.tokens.read(), one.tokens.by_token(tokens[0]), one.tokens.by_token(tokens[1]),
            one.issue(),
        ):  # fmt: skip
            with pytest.raises(PyMongoError) as caught:
                await attempt
            assert isinstance(translate(caught.value), Unavailable)
