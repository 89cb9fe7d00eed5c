"""Leases: one holder at a time of a named thing."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.core.clock import utc_now
from server.storage.driver import Database
from server.storage.leases import LEASES, LeaseBusy, Leases
from tests.domains.connectors.waiting import eventually

FOREVER = timedelta(minutes=10)


async def test_one_owner_at_a_time(database: Database) -> None:
    ours, theirs = Leases(database), Leases(database)
    async with ours.acquire("door"):
        with pytest.raises(LeaseBusy, match="door"):
            async with theirs.acquire("door"):
                pass
        async with theirs.acquire("another door"):
            pass
    async with theirs.acquire("door"):
        pass
    assert await database.collection(LEASES).count_documents({}) == 0


async def test_of_many_at_once_one_gets_it(database: Database) -> None:
    inside = 0
    everybody_tried = asyncio.Event()
    outcomes: list[bool] = []

    async def enter() -> None:
        nonlocal inside
        try:
            async with Leases(database).acquire("door"):
                inside += 1
                outcomes.append(True)
                await everybody_tried.wait()
        except LeaseBusy:
            outcomes.append(False)
        if len(outcomes) == 10:
            everybody_tried.set()

    async with asyncio.timeout(20):
        await asyncio.gather(*(enter() for _ in range(10)))
    assert inside == 1
    assert sorted(outcomes) == [False] * 9 + [True]


async def test_it_is_free_again_after_an_exception(database: Database) -> None:
    leases = Leases(database)
    with pytest.raises(LookupError):
        async with leases.acquire("door"):
            raise LookupError
    async with leases.acquire("door"):
        pass


async def lapse(database: Database, name: str) -> None:
    """As time does once nobody renews the lease."""
    ago = utc_now() - timedelta(seconds=1)
    result = await database.collection(LEASES).update_one({"_id": name}, {"$set": {"until": ago}})
    assert result.matched_count == 1


async def test_a_lease_whose_owner_died_lapses(database: Database) -> None:
    leases = database.collection(LEASES)
    soon = utc_now() + timedelta(seconds=30)
    await leases.insert_one({"_id": "door", "owner": "who died", "until": soon})
    with pytest.raises(LeaseBusy):
        async with Leases(database).acquire("door"):
            pass
    await lapse(database, "door")
    async with Leases(database).acquire("door"):
        pass


async def test_a_former_owner_does_not_free_the_lease_of_the_next(database: Database) -> None:
    former = Leases(database).acquire("door")
    await former.__aenter__()
    await lapse(database, "door")
    async with Leases(database).acquire("door"):
        await former.__aexit__(None, None, None)
        with pytest.raises(LeaseBusy):
            async with Leases(database).acquire("door"):
                pass


async def test_a_lease_is_renewed_while_its_work_runs(database: Database) -> None:
    leases = Leases(database, life=timedelta(seconds=1))
    collection = database.collection(LEASES)
    async with leases.acquire("door"):
        first = await collection.find_one({"_id": "door"})
        assert first is not None

        async def renewed() -> bool:
            now = await collection.find_one({"_id": "door"})
            assert now is not None
            assert now["owner"] == first["owner"]
            return bool(now["until"] > first["until"])

        await eventually(renewed, "the lease to be renewed")
        with pytest.raises(LeaseBusy):
            async with Leases(database).acquire("door"):
                pass


async def test_the_patient_get_it_when_it_is_given_back(database: Database) -> None:
    leases = Leases(database)
    first_is_in = asyncio.Event()
    order: list[str] = []

    async def first() -> None:
        async with leases.acquire("door"):
            first_is_in.set()
            while waiting.done() is False and len(order) < 1:
                order.append("first")
                await asyncio.sleep(0.05)

    async def second() -> None:
        await first_is_in.wait()
        async with leases.acquire("door", wait=FOREVER):
            order.append("second")

    waiting = asyncio.create_task(second())
    async with asyncio.timeout(20):
        await asyncio.gather(first(), waiting)
    assert order == ["first", "second"]


async def test_waiting_ends(database: Database) -> None:
    leases = Leases(database)
    async with leases.acquire("door"):
        with pytest.raises(LeaseBusy):
            async with leases.acquire("door", wait=timedelta(milliseconds=250)):
                pass
