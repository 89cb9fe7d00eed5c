"""Backup and restore as docs/operations.md has them, with a change in between; at full length only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from httpx import AsyncClient
from pymongo import AsyncMongoClient, ReadPreference
from pymongo.write_concern import WriteConcern

from tests.e2e import connector_steps as step
from tests.stack import ROOT, running
from tests.topology.plant import mongodb, plant

USER = "/api/v1/users/user_kept"
pytestmark = pytest.mark.full_only  # each starts several MongoDB one after another


def server(settings: Mapping[str, str], *words: str | Path) -> None:
    """A command of an operator, which must end well."""
    done = subprocess.run(
        [sys.executable, "-m", "server", *words],
        cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


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
        server({"MONGODB_URI": stack.mongodb_uri, "ENCRYPTION_KEY": key}, "verify-audit")


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


async def test_a_file_that_finlink_writes_while_it_serves(tmp_path: Path) -> None:
    async with (
        plant(tmp_path, servers_a_host=1) as site,
        AsyncClient(base_url=f"{site.rests[0]}/api/v1", timeout=20) as rest,
    ):
        await step.create_user(rest, "user_kept")
        await _rename(rest, "Before")
        connector_id = (await step.connect(rest, "user_kept"))["id"]
        await step.synced(rest, connector_id)
        brought = await step.records(rest, connector_id)
        server(site.settings, "backup", tmp_path / "finlink.backup")
        await _rename(rest, "After")
        await step.create_user(rest, "user_of_later")

        served = [*site.of("server"), *site.of("worker")]
        for node in served:
            await node.stop()
        server(site.settings, "restore", "--replace", tmp_path / "finlink.backup")
        server(site.settings, "verify-audit")
        for node in served:
            node.start()
        await site.whole()

        found = (await rest.get("/users/user_kept")).raise_for_status().json()["data"]
        assert found["profile"]["firstName"] == "Before"
        assert (await rest.get("/users/user_of_later")).status_code == 404
        assert await step.records(rest, connector_id) == brought
        assert (await step.sync(rest, connector_id))["status"] == "success"
        await _rename(rest, "Again")


async def _rename(rest: AsyncClient, name: str) -> None:
    changed = await rest.put("/users/user_kept/profile", json={"firstName": name})
    changed.raise_for_status()
