"""`python -m server rotate-signing-key`, on a database that it finds by the settings."""

from __future__ import annotations

import json
import secrets
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.commands.rotate_signing_key import rotate_signing_key, sentence
from server.domains.identity.tokens.model import StoredSigningKey
from server.security.ring import Wrapped
from tests.mongodb import MongoDb

Json = dict[str, object]


@pytest.fixture
def given(mongodb: MongoDb, tmp_path: Path) -> Json:
    """A database nobody has, and no folder with the key of `make run`."""
    return {
        "_env_file": None,
        "data_dir": tmp_path / "none",
        "mongodb_uri": mongodb.uri,
        "db_name": f"test_{uuid.uuid4().hex[:16]}",
        "encryption_keys": f"a:{secrets.token_hex(32)}",
    }


def rotated(given: Json, capsys: pytest.CaptureFixture[str], *, now: bool = False) -> Json:
    rotate_signing_key(now=now, **given)
    printed: Json = json.loads(capsys.readouterr().out)
    return printed


def test_it_makes_the_next_key_or_the_only_one(
    given: Json, capsys: pytest.CaptureFixture[str]
) -> None:
    first = rotated(given, capsys)
    second = rotated(given, capsys)
    assert rotated(given, capsys) == second
    wait = datetime.fromisoformat(str(second["signsFrom"])) - datetime.now(UTC)
    assert timedelta(minutes=58) < wait <= timedelta(hours=1)
    third = rotated(given, capsys, now=True)
    assert third["dropped"] == [first["kid"], second["kid"]]
    assert datetime.fromisoformat(str(third["signsFrom"])) <= datetime.now(UTC)


def test_a_shared_secret_is_not_rotated(given: Json) -> None:
    with pytest.raises(SystemExit, match=r"^finlink: JWT_SECRET is what signs access tokens"):
        rotate_signing_key(now=True, **given, jwt_secret="x" * 32)


def test_without_a_key_ring_it_says_so(given: Json) -> None:
    del given["encryption_keys"]
    with pytest.raises(SystemExit, match=r"^finlink: ENCRYPTION_KEYS: must be set"):
        rotate_signing_key(now=False, **given, encryption_key=None, encryption_keys=None)


def test_the_output_for_people() -> None:
    moment = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
    key = StoredSigningKey("k-2", "ES256", 2, moment, Wrapped("a", b""))
    assert sentence(key, (), now=False) == (
        "k-2 is published, and signs access tokens from 2026-01-15 10:30:00 UTC on."
    )
    assert sentence(key, ["k-1"], now=True).startswith(
        "k-2 signs access tokens now. Dropped: k-1. "
    )
