"""Creates that share a transaction have the replies, events and kept replies they would have alone."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo.errors import PyMongoError

from server import config
from server.core.events import Actor, enter_actor
from server.core.idempotency import AlreadyReplied, IdempotencyRecord, KeyedCall, KeyedReply
from server.core.users import UserExists
from server.domains.audit.verification import verify
from server.domains.users import store as user_store
from server.domains.users.service import UserService
from server.domains.users.store import USERS, UserStore
from server.security.encryption import Vault
from server.storage import audit, driver, idempotency
from server.storage.audit import AUDIT_EVENTS, AUDIT_HEAD, AuditTrail, Codes
from server.storage.changes import RecordedChanges
from server.storage.driver import Database
from server.storage.errors import translate
from server.storage.idempotency import ANSWERS, IdempotencyStore
from server.storage.indexes import ensure_indexes
from server.storage.leases import Leases
from tests.chaos.wire import wire
from tests.domains.users.samples import bare_user
from tests.mongodb import MongoDb

KEY = bytes(range(32))


@dataclass(frozen=True)
class Create:
    """A call. Ids and emails are few, so that they meet."""

    user: int
    email: int
    keyed: bool = False

    @property
    def user_id(self) -> str:
        return f"u{self.user}"


@dataclass
class World:
    database: Database
    trail: AuditTrail = field(init=False)
    records: IdempotencyStore = field(init=False)
    users: UserService = field(init=False)

    def __post_init__(self) -> None:
        self.trail = AuditTrail(self.database, Codes(KEY))
        self.records = IdempotencyStore(self.database, Leases(self.database), Vault(KEY))
        changes = RecordedChanges(self.database, self.trail)
        self.users = UserService(changes, UserStore(self.database))

    async def emptied(self) -> None:
        for name in (USERS, AUDIT_EVENTS, AUDIT_HEAD, ANSWERS):
            await self.database.collection(name).delete_many({})

    def call(self, create: Create, request_id: str) -> asyncio.Task[object]:
        """What the call is answered: the created user's id, the fields that are taken, or an error."""

        async def call() -> object:
            enter_actor(Actor("caller", request_id=request_id))
            reply = None
            if create.keyed:
                reply = KeyedReply(
                    KeyedCall(self.records, request_id, _record), lambda user: user.id
                )
            new = bare_user(create.user_id, f"e{create.email}@example.com")
            try:
                return (await self.users.create(new, reply)).id
            except UserExists as taken:
                return frozenset(error.field for error in taken.fields)
            except (PyMongoError, AlreadyReplied) as error:
                return error

        return asyncio.create_task(call())

    async def reported(self) -> dict[str, str]:
        """Who was created, by the request that the event names."""
        events = await self.trail.find({"action": "user.created"}, 1000)
        assert len({event["actor"]["requestId"] for event in events}) == len(events)
        return {event["actor"]["requestId"]: event["userId"] for event in events}

    async def stored(self) -> dict[str, str]:
        """Ids of documents by the ids of users."""
        found = await self.database.collection(USERS).find({}).to_list(None)
        return {document["userId"]: str(document["_id"]) for document in found}


def _record(reply: str) -> IdempotencyRecord:
    return IdempotencyRecord("r", {"reply": reply})


@asynccontextmanager
async def _world(uri: str, name: str, driver_name: str, patience_ms: int) -> AsyncIterator[World]:
    chosen = config.load(
        mongodb_uri=uri, db_name=name, mongo_driver=driver_name, mongo_timeout_ms=patience_ms
    )
    async with driver.connected(chosen) as opened:
        yield World(opened)


@pytest.fixture(scope="module", params=["pymongo", "motor"])
async def lasting(mongodb: MongoDb, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    name = f"test_groups_{uuid.uuid4().hex[:12]}"
    async with _world(mongodb.uri, name, request.param, 20_000) as world:
        indexes = {**user_store.indexes(30), **idempotency.INDEXES, **audit.INDEXES}
        await ensure_indexes(world.database, indexes)
        try:
            yield world
        finally:
            await world.database.drop()


@pytest.fixture
async def world(lasting: World) -> World:
    await lasting.emptied()
    return lasting


def one_by_one(creates: Sequence[Create]) -> list[bool | frozenset[str]]:
    """The model: what each is answered when they come in this order; True for a new user."""
    users: set[int] = set()
    emails: set[int] = set()
    results: list[bool | frozenset[str]] = []
    for create in creates:
        taken = {
            name
            for name, found in (("userId", create.user in users), ("email", create.email in emails))
            if found
        }
        results.append(frozenset(taken) if taken else True)
        if not taken:
            users.add(create.user)
            emails.add(create.email)
    return results


def explained(creates: Sequence[Create], given: Sequence[object]) -> bool:
    """Whether there is an order in which they would have had these replies one by one."""
    wanted = [True if isinstance(each, str) else each for each in given]
    return any(
        one_by_one([creates[place] for place in order]) == [wanted[place] for place in order]
        for order in itertools.permutations(range(len(creates)))
    )


@pytest.fixture
async def loop() -> asyncio.AbstractEventLoop:
    """The one the world's connections belong to; other tests may leave the thread without one."""
    return asyncio.get_running_loop()


def test_replies_are_as_one_by_one(world: World, loop: asyncio.AbstractEventLoop) -> None:
    """Also those of several groups, of groups that fail, and of keyed calls among others."""
    few = st.integers(0, 3)
    mixed = st.lists(st.builds(Create, few, few, st.booleans()), min_size=1, max_size=6)

    @settings(deadline=None, database=None, max_examples=40)
    @given(mixed)
    def check(creates: list[Create]) -> None:
        loop.run_until_complete(_check(world, creates))

    check()


async def _check(world: World, creates: Sequence[Create]) -> None:
    await world.emptied()
    calls = [world.call(create, f"r{number}") for number, create in enumerate(creates)]
    results = await asyncio.gather(*calls)
    assert explained(creates, results), results
    made = {f"r{at}": result for at, result in enumerate(results) if isinstance(result, str)}
    by_request = {f"r{at}": create for at, create in enumerate(creates)}
    assert await world.stored() == {
        by_request[request].user_id: result for request, result in made.items()
    }
    assert await world.reported() == {request: by_request[request].user_id for request in made}
    assert (await verify(world.trail, world.trail.codes)).problems == []
    for request, create in by_request.items():
        kept = await world.records.find(request)
        assert (kept and kept.content["reply"]) == (made.get(request) if create.keyed else None)


async def test_a_group_is_one_transaction(world: World) -> None:
    """All of them are in the database from one moment on: events of one commit, next to each other."""
    calls = [world.call(Create(number, number), f"r{number}") for number in range(20)]
    assert all(isinstance(result, str) for result in await asyncio.gather(*calls))
    pipeline = [{"$group": {"_id": "$createdAt"}}]
    moments = await world.database.aggregate(world.database.collection(USERS), pipeline)
    assert len(moments) < 20
    assert len(await world.reported()) == 20


async def test_a_reply_of_another_process_fails_its_own_call_only(world: World) -> None:
    await world.records.add([("r1", IdempotencyRecord("elsewhere", {"reply": "first"}))])
    calls = [world.call(Create(number, number, keyed=True), f"r{number}") for number in range(4)]
    results = await asyncio.gather(*calls)
    assert [type(result) for result in results] == [str, AlreadyReplied, str, str]
    assert set(await world.stored()) == {"u0", "u2", "u3"}
    kept = await world.records.find("r1")
    assert kept == IdempotencyRecord("elsewhere", {"reply": "first"})


async def test_who_leaves_does_not_change_the_others(world: World) -> None:
    calls = [world.call(Create(number, number), f"r{number}") for number in range(6)]
    await asyncio.sleep(0)
    calls[2].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results[2], asyncio.CancelledError)
    others = {f"u{at}" for at, result in enumerate(results) if isinstance(result, str)}
    assert others == {"u0", "u1", "u3", "u4", "u5"}
    stored, reported = await world.stored(), await world.reported()
    assert others <= set(stored)
    assert set(reported.values()) == set(stored)


@pytest.mark.full_only
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_commit_that_nobody_hears_of(when: str, world: World, mongodb: MongoDb) -> None:
    """Whoever is not told that it worked is told that it is unknown, never that the user exists.

    So are those whose group comes while MongoDB is silent.
    """
    # Of this test alone: a transaction that was never ended holds its documents for some seconds.
    mine = [
        Create(number, number) for number in range(*((10, 15) if when == "before" else (20, 25)))
    ]
    name = world.database.collection(USERS).database.name
    async with (
        asyncio.timeout(30),
        wire(mongodb.port) as way,
        _world(way.uri, name, "pymongo", 2_000) as cut,
    ):
        await cut.database.ping()
        way.armed = when
        first = [cut.call(create, create.user_id) for create in mine[:3]]
        await way.reached.wait()
        results = await asyncio.gather(*first, *(cut.call(each, each.user_id) for each in mine[3:]))
    acknowledged = {
        create.user_id
        for create, result in zip(mine, results, strict=True)
        if isinstance(result, str)
    }
    stored = set(await world.stored())
    assert acknowledged <= stored
    assert set((await world.reported()).values()) == stored
    assert len(stored & {each.user_id for each in mine[:3]}) in {0, 3}
    for result in results:
        assert isinstance(result, str) or (
            isinstance(result, PyMongoError) and translate(result) is not None
        ), result
