"""`python -m server backup` and `restore`, while Finlink serves, with a change in between."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pymongo import MongoClient
from typer.testing import CliRunner, Result

from server.__main__ import app
from server.storage import archive
from tests.stack import Stack


@pytest.fixture
def elsewhere(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a database that is not there; removed at the end.

    An operator on this machine sets nothing but where the data folder is.
    """
    for name in ("MONGODB_URI", "DB_NAME", "ENCRYPTION_KEY", "ENCRYPTION_KEYS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(stack.data_dir))
    name = f"restored_{uuid.uuid4().hex[:12]}"
    yield name
    with MongoClient[dict[str, object]](stack.mongodb_uri) as client:
        client.drop_database(name)


def server(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def rename(stack: Stack, user_id: str, name: str) -> None:
    path = f"{stack.rest}/api/v1/users/{user_id}/profile"
    httpx.put(path, json={"firstName": name}).raise_for_status()


def test_a_backup_has_what_was_there(
    stack: Stack,
    new_id: str,
    tmp_path: Path,
    elsewhere: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = {"userId": new_id, "email": f"{new_id}@example.com", "firstName": "Before"}
    httpx.post(f"{stack.rest}/api/v1/users", json=body).raise_for_status()
    file = tmp_path / "finlink.backup"
    made = server("backup", file)
    assert made.exit_code == 0, made.output
    piped = tmp_path / "piped"
    piped.write_bytes(server("backup", "-").stdout_bytes)
    assert archive.check(piped)["users"] == archive.check(file)["users"]
    rename(stack, new_id, "After")

    monkeypatch.setenv("DB_NAME", elsewhere)
    restored = server("restore", file)
    assert restored.exit_code == 0, restored.output
    assert restored.output.partition(" are ")[0] == made.output.partition(" are ")[0]
    refused = server("restore", file)
    assert "--replace removes its contents first" in str(refused.exception)
    assert server("restore", "--replace", file).exit_code == 0
    with MongoClient[dict[str, dict[str, str]]](stack.mongodb_uri) as client:
        user = client[elsewhere]["users"].find_one({"userId": new_id})
        assert user is not None
        assert user["profile"]["firstName"] == "Before"
        there, wanted = [
            {name: client[database][name].index_information() for name in ("users", "records")}
            for database in (elsewhere, "financial_app")
        ]
        assert there == wanted


@pytest.mark.usefixtures("elsewhere")
def test_a_command_that_cannot_be_done_says_why(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_bytes(b"x")
    reported = {
        "exists already": server("backup", there),
        "cannot be written": server("backup", tmp_path / "no" / "where"),
        "there is no collection nothing": server(
            "backup", tmp_path / "new", "--without", "nothing"
        ),
        "cannot be read": server("restore", tmp_path / "none"),
        "is not a complete backup": server("restore", there),
    }
    for what, result in reported.items():
        assert result.exit_code == 1
        assert what in str(result.exception), what
    assert there.read_bytes() == b"x"
