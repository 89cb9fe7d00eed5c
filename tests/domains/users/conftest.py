"""User stores on the running MongoDB, through each of the two drivers, in databases of their own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from server import config
from server.domains.users import store as user_store
from server.domains.users.store import ARCHIVE, USERS, UserStore
from server.storage import driver
from server.storage.driver import Database
from server.storage.indexes import ensure_indexes
from tests.mongodb import MongoDb

ARCHIVE_DAYS = 30


@asynccontextmanager
async def new_database(mongodb: MongoDb, driver_name: str) -> AsyncIterator[Database]:
    """A database with the indexes of users, gone afterwards."""
    settings = config.load(
        mongodb_uri=mongodb.uri,
        db_name=f"test_users_{uuid.uuid4().hex[:12]}",
        mongo_driver=driver_name,
        mongo_timeout_ms=20_000,
    )
    async with driver.connected(settings) as opened:
        try:
            await ensure_indexes(opened, user_store.indexes(ARCHIVE_DAYS))
            yield opened
        finally:
            await opened.drop()


@pytest.fixture(scope="session", params=["pymongo", "motor"])
async def shared_database(
    request: pytest.FixtureRequest, mongodb: MongoDb
) -> AsyncIterator[Database]:
    async with new_database(mongodb, request.param) as opened:
        yield opened


@pytest.fixture
async def database(shared_database: Database) -> Database:
    """A database without users."""
    for name in (USERS, ARCHIVE):
        await shared_database.collection(name).delete_many({})
    return shared_database


@pytest.fixture
def store(database: Database) -> UserStore:
    return UserStore(database)
