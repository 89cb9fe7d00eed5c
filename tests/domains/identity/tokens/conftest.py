from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.cache.generations import Generations
from server.storage.driver import Database
from tests.domains.identity.tokens.workers import TurnableClock, Worker, worker
from tests.mongodb import MongoDb
from tests.storage.databases import DRIVERS, emptied, fresh


@pytest.fixture(scope="session", params=DRIVERS)
async def shared_database(
    mongodb: MongoDb, request: pytest.FixtureRequest
) -> AsyncIterator[Database]:
    async with fresh(mongodb.uri, request.param) as database:
        yield database


@pytest.fixture
async def database(shared_database: Database) -> Database:
    """An empty database with all indexes."""
    return await emptied(shared_database)


@pytest.fixture
def clock(tmp_path: Path) -> TurnableClock:
    return TurnableClock(tmp_path / "clock")


@pytest.fixture
def hosts(
    database: Database, clock: TurnableClock, tmp_path: Path
) -> tuple[Worker, Worker, Worker]:
    """Two workers that share a host, and one of another host."""
    file = tmp_path / "generations"
    one, beside = (worker(database, clock, Generations(file)) for _ in range(2))
    return one, beside, worker(database, clock)
