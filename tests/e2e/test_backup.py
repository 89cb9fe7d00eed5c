"""`python -m server backup` and `restore`, while Finlink serves, with a change in between."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pymongo import AsyncMongoClient

from server.commands.backup import backup, restore
from tests.e2e import connector_steps as step
from tests.stack import ROOT, Stack


@pytest.fixture
async def elsewhere(stack: Stack) -> AsyncIterator[str]:
    """The name of a database that is not there; removed at the end."""
    name = f"restored_{uuid.uuid4().hex[:12]}"
    yield name
    async with AsyncMongoClient[dict[str, object]](stack.mongodb_uri) as client:
        await client.drop_database(name)


def server(stack: Stack, *words: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """A command of an operator on this machine, who sets nothing but where the data folder is."""
    unset = {"MONGODB_URI", "DB_NAME", "ENCRYPTION_KEY", "ENCRYPTION_KEYS"}
    clean = {key: value for key, value in os.environ.items() if key not in unset}
    return subprocess.run(
        [sys.executable, "-m", "server", *words],
        cwd=ROOT, env={**clean, "DATA_DIR": str(stack.data_dir), **settings},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


async def test_a_backup_has_what_was_there(
    stack: Stack, rest: httpx.AsyncClient, new_id: str, tmp_path: Path, elsewhere: str
) -> None:
    await step.create_user(rest, new_id)
    before = await rest.put(f"/users/{new_id}/profile", json={"firstName": "Before"})
    before.raise_for_status()
    file = tmp_path / "finlink.backup"
    made = server(stack, "backup", file)
    assert (made.returncode, made.stderr) == (0, "")
    changed = await rest.put(f"/users/{new_id}/profile", json={"firstName": "After"})
    changed.raise_for_status()

    restored = server(stack, "restore", file, DB_NAME=elsewhere)
    assert (restored.returncode, restored.stderr) == (0, "")
    assert restored.stdout.partition(" are ")[0] == made.stdout.partition(" are ")[0]
    async with AsyncMongoClient[dict[str, dict[str, str]]](stack.mongodb_uri) as client:
        user = await client[elsewhere]["users"].find_one({"userId": new_id})
        assert user is not None
        assert user["profile"]["firstName"] == "Before"
        there, wanted = [
            {
                name: await client[database][name].index_information()
                for name in ("users", "records")
            }
            for database in (elsewhere, "financial_app")
        ]
        assert there == wanted
    verified = server(stack, "verify-audit", DB_NAME=elsewhere)
    assert verified.returncode == 0, verified.stdout + verified.stderr

    again = server(stack, "restore", file, DB_NAME=elsewhere)
    assert "--replace removes what it holds" in again.stderr
    replaced = server(stack, "restore", "--replace", file, DB_NAME=elsewhere)
    assert (replaced.returncode, replaced.stderr) == (0, "")


def test_a_command_that_cannot_be_done_says_why(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", stack.mongodb_uri)
    there = tmp_path / "there"
    there.write_bytes(b"x")
    with pytest.raises(SystemExit, match="is there already"):
        backup(there, ())
    with pytest.raises(SystemExit, match="cannot be written"):
        backup(tmp_path / "no" / "where", ())
    with pytest.raises(SystemExit, match="there is no collection nothing"):
        backup(tmp_path / "new", ["nothing"])
    with pytest.raises(SystemExit, match="cannot be read"):
        restore(tmp_path / "none", replace=False)
    with pytest.raises(SystemExit, match="is no whole backup"):
        restore(there, replace=False)
    assert there.read_bytes() == b"x"
