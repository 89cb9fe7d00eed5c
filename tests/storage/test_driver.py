"""The one place that knows the driver: the same behaviour from PyMongo and from Motor."""

from __future__ import annotations

import asyncio
import gc
import warnings
from datetime import UTC, datetime, timedelta, timezone

import pytest
from prometheus_client import REGISTRY
from pymongo.errors import PyMongoError

from server.config import Settings
from server.storage.driver import ClientSession, Collection, Database, connected
from server.storage.errors import translate
from tests.mongodb import MongoDb
from tests.stack import free_ports
from tests.storage.databases import DRIVERS, settings


@pytest.fixture
async def things(database: Database) -> Collection:
    collection = database.collection("things")
    await collection.delete_many({})
    return collection


async def test_times_come_back_aware_and_in_utc(things: Collection) -> None:
    moment = datetime(2024, 1, 15, 16, 0, 0, 123000, timezone(timedelta(hours=5, minutes=30)))
    await things.insert_one({"_id": 1, "at": moment})
    stored = await things.find_one({"_id": 1})
    assert stored is not None
    assert stored["at"] == moment
    assert stored["at"].utcoffset() == timedelta(0)


async def test_aggregate_gives_all_documents(database: Database, things: Collection) -> None:
    await things.insert_many([{"kind": kind, "n": 1} for kind in "aabbb" for _ in range(100)])
    group = {"$group": {"_id": "$kind", "n": {"$sum": "$n"}}}
    rows = await database.aggregate(things, [group, {"$sort": {"_id": 1}}])
    assert rows == [{"_id": "a", "n": 200}, {"_id": "b", "n": 300}]
    assert len(await database.aggregate(things, [{"$match": {}}])) == 500


async def test_a_transaction_writes_all_of_it(database: Database, things: Collection) -> None:
    async def work(session: ClientSession) -> str:
        await things.insert_one({"_id": "one"}, session=session)
        await things.insert_one({"_id": "two"}, session=session)
        assert await things.count_documents({}) == 0  # others see nothing of it yet
        return "its answer"

    assert await database.transact(work) == "its answer"
    assert await things.count_documents({}) == 2


async def test_a_transaction_that_raises_writes_nothing(
    database: Database, things: Collection
) -> None:
    async def work(session: ClientSession) -> None:
        await things.insert_one({"_id": "one"}, session=session)
        raise LookupError("changed its mind")

    with pytest.raises(LookupError, match="changed its mind"):
        await database.transact(work)
    assert await things.count_documents({}) == 0


async def test_transactions_in_each_other_s_way_are_run_again(
    database: Database, things: Collection
) -> None:
    await things.insert_one({"_id": "counter", "n": 0})
    attempts = 0

    async def work(session: ClientSession) -> None:
        nonlocal attempts
        attempts += 1
        counter = await things.find_one({"_id": "counter"}, session=session)
        assert counter is not None
        await asyncio.sleep(0)  # let the others read the same number
        await things.update_one(
            {"_id": "counter"}, {"$set": {"n": counter["n"] + 1}}, session=session
        )

    await asyncio.gather(*(database.transact(work) for _ in range(5)))
    assert await things.find_one({"_id": "counter"}) == {"_id": "counter", "n": 5}
    assert attempts > 5


@pytest.mark.parametrize("driver", DRIVERS)
async def test_only_what_asks_for_it_is_read_elsewhere(mongodb: MongoDb, driver: str) -> None:
    uri = f"{mongodb.uri}&readPreference=primaryPreferred"
    async with connected(settings(uri, driver)) as database:
        things, reported = (
            database.collection("things"),
            database.collection("things", allow_stale=True),
        )
        assert (things.read_preference.mode, reported.read_preference.mode) == (0, 1)

        async def work(
            session: ClientSession,
        ) -> object:  # a transaction reads from the primary alone
            await reported.insert_one({"_id": 1}, session=session)
            return await reported.find_one({"_id": 1}, session=session)

        assert await database.transact(work) == {"_id": 1}
        assert await things.find_one({}) == await reported.find_one({}) == {"_id": 1}
        await database.ping()
        await database.drop()


async def test_ping(database: Database) -> None:
    await database.ping()


@pytest.mark.parametrize("driver", DRIVERS)
async def test_a_database_that_is_away_is_a_passing_failure(driver: str) -> None:
    (port,) = free_ports(1)
    gone = settings(f"mongodb://127.0.0.1:{port}/?replicaSet=finlink", driver, mongo_timeout_ms=200)
    async with connected(gone) as database:
        with pytest.raises(PyMongoError) as pinged:
            await database.ping()
        with pytest.raises(PyMongoError) as written:
            await database.collection("things").insert_one({})
    for caught in (pinged, written):
        error = translate(caught.value)
        assert error is not None
        assert error.code == "UNAVAILABLE"
    with warnings.catch_warnings():
        # The drivers drop the socket of a connection attempt that closing cut short.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.parametrize("driver", DRIVERS)
async def test_whoever_waits_in_vain_for_the_one_connection_is_counted(
    mongodb: MongoDb, driver: str
) -> None:
    usual = settings(mongodb.uri, driver)
    narrow = usual.model_copy(update={"mongo_pool_size": 1, "mongo_timeout_ms": 500})
    slow = {"$where": "sleep(200) || true"}
    async with connected(usual) as database:
        await database.collection("things").insert_one({"_id": 1})
        async with connected(narrow) as by_one:
            things, before = by_one.collection("things"), _waits()
            calls = [things.find_one(slow) for _ in range(8)]
            replies = await asyncio.gather(*calls, return_exceptions=True)
        in_vain = sum(isinstance(reply, PyMongoError) for reply in replies)
        assert in_vain
        # On a busy machine the time of one of them may be over before it begins to wait.
        assert _waits() - before > len(calls) - in_vain
        await database.drop()


def _waits() -> float:
    """How often a connection was waited for, as Prometheus would read it."""
    return REGISTRY.get_sample_value("finlink_mongodb_wait_seconds_count") or 0


@pytest.mark.parametrize("driver", DRIVERS)
async def test_drop_removes_the_whole_database(mongodb: MongoDb, driver: str) -> None:
    async with connected(settings(mongodb.uri, driver)) as database:
        things = database.collection("things")
        await things.insert_one({"at": datetime.now(UTC)})
        await database.drop()
        assert await things.count_documents({}) == 0


async def test_without_an_address_there_is_no_database() -> None:
    nowhere = Settings(_env_file=None, mongodb_uri=None)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="no MONGODB_URI"):
        async with connected(nowhere):
            pass
