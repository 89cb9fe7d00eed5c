"""What becomes of sealed sessions when their keys go, and how an operator is told."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from bson import ObjectId

from server.app import running_worker
from server.commands.rotate_keys import progress, report, rotate_keys, sentences
from server.config import ConfigError, Settings
from server.security.rotation import Rotation
from server.settings import load
from tests.e2e import connector_steps as step
from tests.stack import ROOT, Stack

OTHER = os.urandom(32).hex()
NOBODY = "mongodb://127.0.0.1:1/?replicaSet=none"


def given(**settings: object) -> Settings:
    return load(**only(**settings))


def only(**settings: object) -> dict[str, object]:
    """These settings and no others, whatever the machine's environment says."""
    nothing = {"mongodb_uri": None, "encryption_key": None, "encryption_keys": None}
    return {"_env_file": None, **nothing, "db_name": "financial_app", **settings}


@pytest.mark.parametrize("platform", step.PLATFORMS)
async def test_the_backup_of_a_disconnected_connector_does_not_open(
    stack: Stack, rest: httpx.AsyncClient, new_id: str, platform: str
) -> None:
    await step.create_user(rest, new_id)
    connector_id = (await step.connect(rest, new_id, platform))["id"]
    await step.synced(rest, connector_id)
    async with step.database(stack) as documents:
        assert await documents["data_keys"].count_documents({"userId": new_id}) == 1
        backup = await step.document(documents, connector_id)
        await step.disconnect(rest, connector_id)
        assert await documents["data_keys"].count_documents({"userId": new_id}) == 0
        await documents["connectors"].replace_one({"_id": ObjectId(connector_id)}, backup)

        await step.trigger(rest, connector_id, forceSync=True)

        async def expired() -> bool:
            return bool((await step.get(rest, connector_id))["connectionStatus"] == "expired")

        await step.eventually(expired, "the session that does not open to be over")
        await step.disconnect(rest, connector_id)


async def test_a_deleted_user_takes_the_keys_along(
    stack: Stack, rest: httpx.AsyncClient, new_id: str
) -> None:
    await step.create_user(rest, new_id)
    for platform in step.PLATFORMS:
        await step.connect(rest, new_id, platform)
    async with step.database(stack) as documents:
        assert await documents["data_keys"].count_documents({"userId": new_id}) == 2
        (await rest.delete(f"/users/{new_id}")).raise_for_status()
        assert await documents["data_keys"].count_documents({"userId": new_id}) == 0


def test_the_command_finds_what_make_run_made(stack: Stack) -> None:
    """The running database, and the data folder's key, also beside ENCRYPTION_KEYS."""
    ours = ("MONGO", "ENCRYPTION", "APP_ENV", "ENVIRONMENT", "NODE_ENV", "DB_NAME")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    done = subprocess.run(
        [sys.executable, "-m", "server", "rotate-keys", "--check"], cwd=ROOT,
        env={**clean, "DATA_DIR": str(stack.data_dir), "ENCRYPTION_KEYS": f"other:{OTHER}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    state = json.loads(done.stdout)
    assert (state["event"], state["key"], state["missing"]) == ("incomplete", "other", [])
    assert state["waiting"].keys() == {"default"}
    assert state["waiting"]["default"] == state["keys"] >= 3


def test_with_nothing_to_do_it_says_complete(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rotate_keys(check=False, rate=1_000, **only(data_dir=stack.data_dir)) == 0
    begun, ended = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert begun == {"event": "progress", "rewrapped": 0, "of": 0}
    assert (ended["event"], ended["key"], ended["rewrapped"]) == ("complete", "default", 0)


def test_the_command_names_a_missing_key(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = only(
        data_dir=tmp_path / "none", mongodb_uri=stack.mongodb_uri, encryption_keys=f"other:{OTHER}"
    )
    assert rotate_keys(check=False, rate=1_000, **settings) == 1
    state = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (state["event"], state["rewrapped"], state["missing"]) == ("incomplete", 0, ["default"])


@pytest.mark.parametrize(
    ("key_id", "said"),
    [
        (
            "other",
            r"encryption key default is missing; put it back into ENCRYPTION_KEYS as default:",
        ),
        ("default", "does not open with the encryption key default"),
    ],
)
async def test_a_server_does_not_start_with_the_wrong_ring(
    stack: Stack, tmp_path: Path, key_id: str, said: str
) -> None:
    settings = given(mongodb_uri=stack.mongodb_uri, encryption_keys=f"{key_id}:{OTHER}")
    listen = f"unix:{tmp_path}/s"
    worker = running_worker(settings, listen, syncs=False, uncalled=asyncio.Event())
    with pytest.raises(ConfigError, match=said) as caught:
        async with worker:
            pass
    assert OTHER not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"encryption_keys": f"other:{OTHER}"},
            "MONGODB_URI: must be set, or `make run` must be running",
        ),
        ({"mongodb_uri": NOBODY}, "ENCRYPTION_KEYS: must be set"),
        (
            {"mongodb_uri": NOBODY, "encryption_keys": f"other:{OTHER}"},
            "MongoDB at 127.0.0.1:1 does not reply",
        ),
    ],
)
def test_without_a_database_or_a_key_the_command_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: dict[str, str], said: str
) -> None:
    with pytest.raises(SystemExit, match=f"^finlink: {re.escape(said)}"):
        rotate_keys(check=False, rate=1_000, **only(data_dir=tmp_path / "none", **settings))
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "none").exists()


def test_the_output_for_people() -> None:
    state = Rotation(total=9, waiting={"gone": 1_200, "old": 3}, missing=["gone"], broken=["dk_1"])
    gone, old, broken = sentences(state, "new")
    assert gone.startswith("1,200 need the key gone, which is missing. Put it back as gone:KEY")
    assert old.startswith("3 still need the key old; do not remove it.")
    assert broken.startswith("1 cannot be decrypted with the key they name")
    (done,) = sentences(Rotation(total=9), "new")
    assert done.startswith("All 9 keys are wrapped by new.")


def test_a_person_sees_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with progress() as show:
        show(0, 1_500)
        show(1_500, 1_500)
    report(Rotation(total=1_500, rewrapped=1_500), "new", 2.2)
    shown = capsys.readouterr().out
    assert "1500/1500" in shown
    assert "Re-wrapped 1,500 keys with new in 2 s." in shown
