"""Backup and restore as docs/operations.md has them, with a change in between; at full length only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from pymongo import AsyncMongoClient, ReadPreference
from pymongo.write_concern import WriteConcern

from tests.stack import ROOT, running
from tests.topology.plant import mongodb

USER = "/api/v1/users/user_kept"


@pytest.fixture(autouse=True)
def only_full(full: bool) -> None:
    if not full:
        pytest.skip("starts several MongoDB one after another")


def test_the_data_folder_of_one_machine(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data) as stack:
        body = {"userId": "user_kept", "email": "kept@example.com", "firstName": "Before"}
        httpx.post(f"{stack.rest}/api/v1/users", json=body).raise_for_status()
    shutil.copytree(data, tmp_path / "backup", symlinks=True)

    with running(data) as stack:
        change = httpx.put(f"{stack.rest}{USER}/profile", json={"firstName": "After"})
        change.raise_for_status()
    shutil.rmtree(data)
    shutil.copytree(tmp_path / "backup", data, symlinks=True)

    with running(data) as stack:
        found = httpx.get(f"{stack.rest}{USER}").raise_for_status().json()["data"]
        assert found["profile"]["firstName"] == "Before"
        again = httpx.put(f"{stack.rest}{USER}/profile", json={"firstName": "Again"})
        again.raise_for_status()
        key = (data / "encryption.key").read_text().strip()
        settings = {"MONGODB_URI": stack.mongodb_uri, "ENCRYPTION_KEY": key}
        verified = subprocess.run(
            [sys.executable, "-m", "server", "verify-audit"],
            cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert verified.returncode == 0, verified.stdout


async def test_a_replica_set_from_the_files_of_one_member(tmp_path: Path) -> None:
    async with mongodb(tmp_path) as (database, nodes):
        majority = WriteConcern("majority")
        async with AsyncMongoClient[dict[str, object]](database.mongodb_uri) as client:
            things = client["financial_app"].get_collection("things", write_concern=majority)
            await things.insert_one({"_id": 1, "is": "before"})
            await things.insert_many([{"n": n} for n in range(1_000)])
        primary = await database.primary()
        secondary = next(node for node in nodes if node.name != f"mongod-{primary}")
        await secondary.stop()
        shutil.copytree(tmp_path / f"mongo-{secondary.name[7:]}", tmp_path / "backup")
        secondary.start()
        await secondary.until_ready()
        async with AsyncMongoClient[dict[str, object]](database.mongodb_uri) as client:
            things = client["financial_app"].get_collection("things", write_concern=majority)
            await things.update_one({"_id": 1}, {"$set": {"is": "after"}})

        for node in nodes:
            await node.stop()
        for node in nodes:
            folder = tmp_path / f"mongo-{node.name[7:]}"
            shutil.rmtree(folder)
            shutil.copytree(tmp_path / "backup", folder)
            node.start()
        for node in nodes:
            await node.until_ready()
        async with AsyncMongoClient[dict[str, object]](database.mongodb_uri) as client:
            things = client["financial_app"].get_collection("things", write_concern=majority)
            found = await things.with_options(read_preference=ReadPreference.PRIMARY).find_one(
                {"_id": 1}
            )
            assert found == {"_id": 1, "is": "before"}
            assert await things.count_documents({}) == 1_001
            await things.insert_one({"_id": 2})
