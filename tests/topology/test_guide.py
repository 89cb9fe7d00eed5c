"""Every command of docs/operations.md that works in a fresh clone, pasted into one in the order it is told.

Ports are others, and the packages are those that are installed: nothing else differs from a clone.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import AsyncMongoClient

from tests.chaos.figures import Figures
from tests.clone import Clone
from tests.deploy import guide
from tests.stack import ROOT

USER = "/api/v1/users/user_kept"
RUN = (".venv/bin/python", "-m", "server", "run")
START_SECONDS = 120.0


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Clone]:
    folder, home = tmp_path / "finlink", tmp_path / "home"
    home.mkdir()
    listed = subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, text=True
    )
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():  # a file removed and not committed is listed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "gen", folder / "gen")
    (folder / ".venv").symlink_to(sys.prefix)
    made = Clone(folder, home, RATE_LIMITS="off")
    yield made
    made.end()


@pytest.mark.full_only
async def test_all_of_it_works_when_pasted(clone: Clone, figures: Figures) -> None:
    await bring(clone, "up")
    body = {"userId": "user_kept", "email": "kept@example.com", "firstName": "Before"}
    async with httpx.AsyncClient(base_url=clone.rest, timeout=20) as rest:
        (await rest.post("/api/v1/users", json=body)).raise_for_status()
    done = set()
    for block in guide.pasted():
        await bring(clone, block.finlink)
        await clone.paste(block.text)
        for part, changed in CHANGES.items():
            if part in block.text:
                done.add(part)
                await changed(clone)
    figures.show("blocks that were pasted", len(guide.pasted()))
    assert done == CHANGES.keys()


async def bring(clone: Clone, wanted: str) -> None:
    """To be up or stopped."""
    if wanted == "up" and not clone.is_up:
        await clone.start(RUN, START_SECONDS)
    elif wanted == "stopped" and clone.is_up:
        await clone.stop()


async def name(clone: Clone) -> str:
    async with httpx.AsyncClient(base_url=clone.rest, timeout=20) as rest:
        found = (await rest.get(USER)).raise_for_status().json()
    return str(found["data"]["profile"]["firstName"])


async def rename(clone: Clone, name: str) -> None:
    async with httpx.AsyncClient(base_url=clone.rest, timeout=20) as rest:
        change = await rest.put(f"{USER}/profile", json={"firstName": name})
        change.raise_for_status()


async def _after_a_backup(clone: Clone) -> None:
    await rename(clone, "After")


async def _after_a_restore_elsewhere(clone: Clone) -> None:
    uri = f"mongodb://127.0.0.1:{clone.ports['MONGO_PORT']}/?replicaSet=finlink"
    async with AsyncMongoClient[dict[str, Any]](uri) as client:
        user = await client["restored"]["users"].find_one({"userId": "user_kept"})
    assert user is not None
    assert user["profile"]["firstName"] == "Before"
    assert await name(clone) == "After"


async def _after_a_copy(clone: Clone) -> None:
    await bring(clone, "up")
    await rename(clone, "Later")
    await bring(clone, "stopped")


async def _after_putting_it_back(clone: Clone) -> None:
    await bring(clone, "up")
    assert await name(clone) == "After"


# What is done or found after the block that has these words.
CHANGES: Mapping[str, Callable[[Clone], Awaitable[None]]] = {
    "server backup ~/": _after_a_backup,
    "server restore ~/": _after_a_restore_elsewhere,
    "cp -a .data ~/": _after_a_copy,
    "mv .data .data.broken": _after_putting_it_back,
}
