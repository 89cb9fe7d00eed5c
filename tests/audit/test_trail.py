"""The audit trail: what is told is sealed in order, and whatever is done to it later is found."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from bson import ObjectId

from server.audit.sealer import Sealer
from server.audit.verification import verify
from server.auditing import Actor, Event, enter_actor
from server.clock import utc_now
from server.storage.audit import AUDIT_EVENTS, AUDIT_HEAD, AuditTrail, Codes, Head
from server.storage.claims import Claims
from server.storage.driver import Collection, Database, Session

COUNT = 50


async def told(trail: AuditTrail, count: int = COUNT) -> None:
    for number in range(count):
        await trail.add(Event("user.updated", user_id=f"u{number}", fields=["email"]))


async def sealed(trail: AuditTrail, count: int = COUNT) -> Head:
    await told(trail, count)
    while await trail.seal_some():
        pass
    return await trail.head()


async def test_events_are_sealed_in_one_chain(trail: AuditTrail, codes: Codes) -> None:
    assert (await verify(trail, codes)).problems == []
    head = await sealed(trail)
    assert head.sequence == COUNT
    assert [e["sequence"] async for e in trail.sealed()] == list(range(1, COUNT + 1))
    await told(trail, 3)
    report = await verify(trail, codes, head)
    assert (report.problems, report.sealed, report.unsealed) == ([], COUNT, 3)


async def test_an_event_says_who_did_it(database: Database, trail: AuditTrail) -> None:
    async def call() -> None:
        enter_actor(Actor("caller", address="192.0.2.7", key="ops", user_agent="curl"))
        await trail.add(Event("user.deleted", user_id="u1"))

    await asyncio.create_task(call())
    await trail.add(Event("sync.failed", connector_id="c1", code="PLATFORM_UNAVAILABLE"))
    by_caller, by_system = await trail.find({}, 2), await trail.find({"code": {"$exists": True}}, 1)
    assert {event["action"] for event in by_caller} == {"user.deleted", "sync.failed"}
    (caller,) = (e["actor"] for e in by_caller if e["action"] == "user.deleted")
    assert caller == {"kind": "caller", "address": "192.0.2.7", "key": "ops", "userAgent": "curl"}
    assert by_system[0]["actor"] == {"kind": "system"}


async def test_an_event_goes_with_its_change(database: Database, trail: AuditTrail) -> None:
    async def work(session: Session) -> None:
        await trail.add(Event("user.created"), session)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await database.transact(work)
    assert await trail.find({}, 1) == []


async def test_sealers_do_not_get_in_each_others_way(
    database: Database, trail: AuditTrail, codes: Codes
) -> None:
    await told(trail)
    claims = Claims(database)
    counts = await asyncio.gather(*(Sealer(trail, claims).seal() for _ in range(5)))
    while await trail.seal_some():
        pass
    assert sum(counts) in {0, COUNT}
    assert (await verify(trail, codes)).problems == []


Harm: TypeAlias = Callable[[Collection, Collection, AuditTrail], Awaitable[Any]]


async def alter(events: Collection, _: Collection, __: AuditTrail) -> None:
    await events.update_one({"sequence": 20}, {"$set": {"userId": "somebody_else"}})


async def remove(events: Collection, _: Collection, __: AuditTrail) -> None:
    await events.delete_one({"sequence": 20})


async def remove_and_renumber(events: Collection, _: Collection, __: AuditTrail) -> None:
    await events.delete_one({"sequence": 20})
    for number in range(21, COUNT + 1):
        await events.update_one({"sequence": number}, {"$set": {"sequence": number - 1}})


async def swap(events: Collection, _: Collection, __: AuditTrail) -> None:
    for old, new in ((20, 999), (21, 20), (999, 21)):
        await events.update_one({"sequence": old}, {"$set": {"sequence": new}})


async def put_in(events: Collection, _: Collection, __: AuditTrail) -> None:
    copy = await events.find_one({"sequence": 20})
    assert copy is not None
    await events.insert_one({**copy, "_id": ObjectId(), "sequence": COUNT + 1})


async def put_in_unsealed(events: Collection, _: Collection, __: AuditTrail) -> None:
    await events.insert_one(
        {"at": utc_now(), "action": "user.created", "actor": {}, "mac": "0" * 64}
    )


async def cut_the_tail(events: Collection, _: Collection, __: AuditTrail) -> None:
    await events.delete_many({"sequence": {"$gt": 40}})


async def cut_the_tail_and_move_the_head(
    events: Collection, heads: Collection, trail: AuditTrail
) -> None:
    await cut_the_tail(events, heads, trail)
    last = await events.find_one({"sequence": 40})
    assert last is not None
    await heads.update_one({}, {"$set": {"sequence": 40, "link": last["link"]}})


async def remove_the_head(_: Collection, heads: Collection, __: AuditTrail) -> None:
    await heads.delete_many({})


async def rewrite_all(events: Collection, heads: Collection, trail: AuditTrail) -> None:
    """With a key that is not the one."""
    await events.delete_many({})
    await heads.delete_many({})
    await sealed(AuditTrail(trail._database, Codes(bytes(32))))


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (alter, "event 20 was altered or made up"),
        (remove, "event 20 is missing"),
        (remove_and_renumber, "event 20 is not the one that was sealed there"),
        (swap, "event 20 is not the one that was sealed there"),
        (put_in, f"event {COUNT + 1} is not the one that was sealed there"),
        (put_in_unsealed, "not yet sealed, was altered or made up"),
        (cut_the_tail, f"events 41 to {COUNT} are missing"),
        (cut_the_tail_and_move_the_head, "the head was altered"),
        (remove_the_head, "the head is missing"),
        (rewrite_all, "event 1 was altered or made up"),
    ],
)
async def test_harm_is_found(
    database: Database, trail: AuditTrail, codes: Codes, harm: Harm, found: str
) -> None:
    await sealed(trail)
    events, heads = database.collection(AUDIT_EVENTS), database.collection(AUDIT_HEAD)
    await harm(events, heads, trail)
    problems = (await verify(trail, codes)).problems
    assert [problem for problem in problems if found in problem], problems


async def test_a_head_that_was_written_down_finds_a_trail_set_back(
    database: Database, trail: AuditTrail, codes: Codes
) -> None:
    """Whoever puts back an older copy of all, head included, leaves no trace in MongoDB."""
    await sealed(trail, 10)
    heads = database.collection(AUDIT_HEAD)
    older = await heads.find_one({})
    assert older is not None
    head = await sealed(trail, 10)
    await database.collection(AUDIT_EVENTS).delete_many({"sequence": {"$gt": 10}})
    await heads.replace_one({}, older)
    assert (await verify(trail, codes)).problems == []
    problems = (await verify(trail, codes, head)).problems
    assert problems == ["the trail once reached event 20; its end was cut off"]
