"""The audit trail: what is told is sealed in order, and whatever is done to it later is found."""

from __future__ import annotations

import asyncio

import pytest

from server.core.clock import utc_now
from server.core.events import Actor, Event, enter_actor
from server.domains.audit.sealer import Sealer
from server.domains.audit.verification import verify
from server.storage.audit import AUDIT_EVENTS, AUDIT_HEAD, AuditTrail, Codes
from server.storage.driver import ClientSession, Database, Document
from server.storage.leases import Leases
from tests.domains.audit.harms import HARMS, Harm, Scene, alter, finding, reported, sealed

COUNT = 50


async def test_events_are_sealed_in_one_chain(trail: AuditTrail, codes: Codes) -> None:
    assert (await verify(trail, codes)).problems == []
    head = await sealed(trail, COUNT)
    assert head.sequence == COUNT
    assert [e["sequence"] async for events in trail.sealed() for e in events] == list(
        range(1, COUNT + 1)
    )
    await reported(trail, 3)
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


async def test_several_events_each_say_who_did_them(trail: AuditTrail, codes: Codes) -> None:
    ann, bob = Actor("caller", key="ann"), Actor("caller", key="bob", request_id="r2")
    await trail.add_all([(Event("user.created", "u1"), ann), (Event("user.created", "u2"), bob)])
    await trail.add_all([])
    found = {event["userId"]: event["actor"] for event in await trail.find({}, 10)}
    assert found == {
        "u1": {"kind": "caller", "key": "ann"},
        "u2": {"kind": "caller", "key": "bob", "requestId": "r2"},
    }
    assert (await verify(trail, codes)).problems == []


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({}, "at_-1__id_-1"),
        ({"userId": "u"}, "userId_1_at_-1__id_-1"),
        ({"connectorId": "c"}, "of_a_connector"),
        ({"action": "user.created"}, "action_1_at_-1__id_-1"),
        ({"actor.key": "ann"}, "of_an_api_key"),
    ],
)
async def test_every_filter_of_the_list_has_its_index(
    database: Database, trail: AuditTrail, query: Document, index: str
) -> None:
    await reported(trail, 3)
    bounded = {"$and": [query, {"at": {"$lte": utc_now()}}]}
    for each in (query, bounded):
        cursor = database.collection(AUDIT_EVENTS).find(each).sort([("at", -1), ("_id", -1)])
        plan = str((await cursor.limit(20).explain())["queryPlanner"]["winningPlan"])
        assert f"'indexName': '{index}'" in plan, plan
        assert "'SORT'" not in plan


async def test_an_event_goes_with_its_change(database: Database, trail: AuditTrail) -> None:
    async def work(session: ClientSession) -> None:
        await trail.add(Event("user.created"), session)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await database.transact(work)
    assert await trail.find({}, 1) == []


async def test_sealers_do_not_get_in_each_others_way(
    database: Database, trail: AuditTrail, codes: Codes
) -> None:
    await reported(trail, COUNT)
    leases = Leases(database)
    counts = await asyncio.gather(*(Sealer(trail, leases).seal() for _ in range(5)))
    while await trail.seal_some():
        pass
    assert sum(counts) in {0, COUNT}
    assert (await verify(trail, codes)).problems == []


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
async def test_harm_is_found(
    database: Database, trail: AuditTrail, codes: Codes, harm: Harm
) -> None:
    await sealed(trail, COUNT)
    scene = Scene(database, trail, COUNT)
    await harm(scene)
    problems = (await verify(trail, codes)).problems
    assert [problem for problem in problems if finding(harm, scene) in problem], problems


async def test_one_harm_is_one_finding(database: Database, trail: AuditTrail, codes: Codes) -> None:
    await sealed(trail, COUNT)
    await alter(Scene(database, trail, COUNT))
    assert len((await verify(trail, codes)).problems) == 1


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
