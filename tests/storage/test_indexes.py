"""Indexes are there after a start, and after a second one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from bson import ObjectId
from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError

from server.domains.connectors.connections.store import CONNECTORS
from server.domains.connectors.records.store import RECORDS
from server.domains.users.store import USERS
from server.storage.driver import Database, connected
from server.storage.indexes import NoImages, drop_indexes, ensure_images, ensure_indexes
from server.storage.leases import LEASES
from tests.mongodb import MongoDb
from tests.storage.databases import INDEXES, settings


async def existing(database: Database, collection: str) -> Mapping[str, Any]:
    return await database.collection(collection).index_information()


async def test_creating_them_again_changes_nothing(database: Database) -> None:
    before = {name: await existing(database, name) for name in INDEXES}
    # As workers do that start at the same time.
    await asyncio.gather(*(ensure_indexes(database, INDEXES) for _ in range(3)))
    assert {name: await existing(database, name) for name in INDEXES} == before


async def test_one_may_take_longer_than_other_operations(mongodb: MongoDb) -> None:
    async with connected(settings(mongodb.uri, "pymongo")) as database:
        await database.collection("things").insert_one({})
        await database.command({"profile": 2})
        await ensure_indexes(database, {"things": [IndexModel("n")]})
        await database.command({"profile": 0})
        seen = {"command.createIndexes": "things"}
        reported = await database.collection("system.profile").find_one(seen)
        await database.drop()
    assert reported is not None
    assert reported["command"]["maxTimeMS"] > 60_000


async def test_what_the_product_asks_for(database: Database) -> None:
    users = await existing(database, USERS)
    assert users["userId_1"]["unique"]
    assert users["email_1_if_any"]["unique"]
    connectors = await existing(database, CONNECTORS)
    assert connectors["userId_1_platform_1"]["unique"]
    assert connectors["sessionId_1"]["unique"]
    assert connectors["sessionId_1"]["sparse"]
    leases = await existing(database, LEASES)
    assert leases["until_1"]["expireAfterSeconds"] == 3600


async def test_retired_ones_are_removed(database: Database) -> None:
    collection = database.collection(f"things_{ObjectId()}")
    await ensure_indexes(database, {collection.name: [IndexModel("old"), IndexModel("kept")]})
    now = {collection.name: [IndexModel("new"), IndexModel("kept")]}
    retired = {collection.name: ["old_1"]}
    await ensure_indexes(database, now)
    await asyncio.gather(*(drop_indexes(database, retired) for _ in range(3)))
    assert set(await existing(database, collection.name)) == {"_id_", "kept_1", "new_1"}


async def test_images_of_connectors_are_kept(database: Database) -> None:
    await asyncio.gather(*(ensure_images(database, [CONNECTORS]) for _ in range(3)))
    options = await database.collection(CONNECTORS).options()
    assert options["changeStreamPreAndPostImages"] == {"enabled": True}


async def test_a_session_id_is_unique_where_there_is_one(database: Database) -> None:
    connectors = database.collection(CONNECTORS)
    for user in ("ann", "ben"):
        await connectors.insert_one({"userId": user, "platform": "fi_money"})
    await connectors.insert_one({"userId": "cat", "platform": "fi_money", "sessionId": "sess_1"})
    with pytest.raises(DuplicateKeyError):
        await connectors.insert_one(
            {"userId": "dan", "platform": "fi_money", "sessionId": "sess_1"}
        )


async def test_an_item_is_kept_once(database: Database) -> None:
    records = database.collection(RECORDS)
    item = {"connectorId": str(ObjectId()), "dataType": "trades", "key": "k"}
    await records.insert_one(dict(item))
    await records.insert_one({**item, "dataType": "portfolio"})
    with pytest.raises(DuplicateKeyError):
        await records.insert_one(dict(item))


@pytest.mark.parametrize(
    ("collection", "query", "sort"),
    [
        (CONNECTORS, {"sync.dueAt": {"$lte": 1}}, [("sync.dueAt", 1)]),
        (CONNECTORS, {"userId": "ann", "platform": "zerodha"}, []),
        (CONNECTORS, {}, [("createdAt", -1), ("_id", -1)]),
        (CONNECTORS, {"connectionStatus": "expired"}, [("createdAt", -1), ("_id", -1)]),
        (RECORDS, {"connectorId": "c"}, [("at", -1), ("_id", -1)]),
        (RECORDS, {"connectorId": "c", "dataType": "trades"}, [("at", -1), ("_id", -1)]),
    ],
)
async def test_reads_are_served_by_an_index(
    database: Database, collection: str, query: dict[str, Any], sort: list[tuple[str, int]]
) -> None:
    cursor = database.collection(collection).find(query)
    plan = await (cursor.sort(sort) if sort else cursor).explain()
    said = str(plan["queryPlanner"]["winningPlan"])
    assert "IXSCAN" in said
    assert "COLLSCAN" not in said
    assert "'SORT'" not in said


async def test_where_images_cannot_be_kept_it_is_said(database: Database) -> None:
    with pytest.raises(NoImages):
        await ensure_images(database, ["there_is_no_such_collection"])


async def test_an_index_that_another_has_replaced_is_removed(database: Database) -> None:
    await database.collection(USERS).create_index("status", name="old")
    retired = {USERS: ["old", "never there"]}
    await asyncio.gather(*(drop_indexes(database, retired) for _ in range(3)))
    assert "old" not in await existing(database, USERS)
    await drop_indexes(database, retired)
    await ensure_indexes(database, INDEXES)
