"""The embedded database, with a real mongod."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from server.supervisor import mongod
from server.supervisor.preflight import check_mongodb
from server.supervisor.process import ProcessFailedError
from tests.mongodb import running
from tests.supervisor.harness import free_ports


def test_errors_are_picked_from_the_log() -> None:
    lines = [
        '{"s":"E","msg":"Failed","attr":{"error":"DBPathInUse: locked"}}',
        "not JSON",
        '{"s":"I","msg":"Shutting down"}',
    ]
    assert mongod.errors_in(lines) == ['Failed: {"error": "DBPathInUse: locked"}']
    assert mongod.errors_in(lines[1:]) == lines[1:]


async def test_data_outlives_a_run_and_a_change_of_port(tmp_path: Path) -> None:
    first, second = free_ports(2)
    for visit, port in enumerate((first, second), start=1):
        async with running(tmp_path, port):
            await check_mongodb(mongod.uri(port))
            client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongod.uri(port))
            async with client, client.start_session() as session:
                visits = client.db.visits
                # A transaction, since it is for them that this is a replica set.
                async with await session.start_transaction():
                    await visits.insert_one({}, session=session)
                assert await visits.count_documents({}) == visit
                # Kept for as long as MongoDB's log, images would take many times its space.
                options = await client.admin.command({"getClusterParameter": "changeStreamOptions"})
                [kept] = options["clusterParameters"]
                assert kept["preAndPostImages"] == {"expireAfterSeconds": mongod.IMAGES_SECONDS}


async def test_a_data_folder_in_use_is_said(tmp_path: Path) -> None:
    first, second = free_ports(2)
    async with running(tmp_path, first):
        with pytest.raises(ProcessFailedError, match=r"(?s)mongod did not start.*DBPathInUse"):
            async with running(tmp_path, second):
                pass
