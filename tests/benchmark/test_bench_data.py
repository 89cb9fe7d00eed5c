"""The benchmark's data as a Finlink finds it: all of it is counted, before anybody has counted again."""

from __future__ import annotations

import asyncio

from pymongo import MongoClient

from bench import data
from server.config import load
from server.domains.connectors.connections import store as connector_store
from server.domains.users import store as user_store
from server.storage.counters import Counters
from server.storage.driver import connected
from tests.mongodb import MongoDb

USERS = 300


async def test_loaded_data_is_counted(mongodb: MongoDb) -> None:
    def fill() -> None:
        with MongoClient[data.Document](mongodb.uri) as client:
            data.fill(client["bench_test"], USERS, lambda *_: None)

    await asyncio.to_thread(fill)
    settings = load(_env_file=None, mongodb_uri=mongodb.uri, db_name="bench_test")
    async with connected(settings) as database:
        for spec in (user_store.COUNTED, connector_store.COUNTED):
            counters = Counters(database, spec)
            assert not await counters.has_waiting()
            totals = await counters.totals()
            assert totals == await counters.count()
            assert sum(totals.values()) == USERS
            assert await counters.recount() == {}
