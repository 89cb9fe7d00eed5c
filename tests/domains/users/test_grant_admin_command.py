"""`python -m server users grant-admin`, on a database that it finds by the settings."""

from __future__ import annotations

import secrets
import uuid
from pathlib import Path

import pytest

from server.commands.users import grant
from tests.mongodb import MongoDb


def test_a_user_must_exist_and_the_key_ring_be_set(mongodb: MongoDb, tmp_path: Path) -> None:
    given: dict[str, object] = {
        "_env_file": None,
        "data_dir": tmp_path / "none",  # without the key of `make run`
        "mongodb_uri": mongodb.uri,
        "db_name": f"test_{uuid.uuid4().hex[:16]}",
    }
    with pytest.raises(SystemExit, match=r"^finlink: ENCRYPTION_KEYS: must be set"):
        grant("asha", **given, encryption_key=None, encryption_keys=None)
    with pytest.raises(SystemExit, match=r"^finlink: there is no user asha"):
        grant("asha", **given, encryption_keys=f"a:{secrets.token_hex(32)}")
