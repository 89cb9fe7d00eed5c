"""Every command of docs/operations.md that works in a fresh clone, pasted into one in the order it is told.

Ports are others, and the packages are those that are installed: nothing else differs from a clone.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import AsyncMongoClient

from server.supervisor.probes import until
from tests.chaos.figures import Figures
from tests.deploy import guide
from tests.stack import ROOT, free_ports

PORTS = {
    "PORT": 3000, "TLS_PORT": 3443, "GRPC_PORT": 50051, "ADMIN_PORT": 9901, "METRICS_PORT": 9464,
    "MONGO_PORT": 27117, "SANDBOX_KITE_PORT": 8085, "SANDBOX_FI_PORT": 8086,
}  # fmt: skip
USER = "/api/v1/users/user_kept"
START_SECONDS = 120.0


class Clone:
    """A fresh clone, and whether Finlink is up in it."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.rest = f"http://127.0.0.1:{self.ports['PORT']}"
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "RATE_LIMITS": "off",
            **{name: str(port) for name, port in self.ports.items()},
        }
        self._run: subprocess.Popen[bytes] | None = None

    async def bring(self, wanted: str) -> None:
        """To be up or stopped, as one does it in a terminal: `make run`, Ctrl-C."""
        if wanted == "up" and self._run is None:
            self._run = self._start()
            async with asyncio.timeout(START_SECONDS):
                await until(self._answers)
        elif wanted == "stopped" and self._run is not None:
            self._run.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(self._run.wait, START_SECONDS) == 0
            self._run = None

    def _start(self) -> subprocess.Popen[bytes]:
        with (self.folder.parent / "output.log").open("ab") as output:
            return subprocess.Popen(
                [".venv/bin/python", "-m", "server", "run"],
                cwd=self.folder, env=self._environment, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    async def paste(self, text: str) -> None:
        for name, port in PORTS.items():
            text = re.sub(rf"localhost:{port}\b", f"localhost:{self.ports[name]}", text)
        done = await asyncio.to_thread(
            subprocess.run,
            ["bash", "-e"], input=text, cwd=self.folder, env=self._environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"

    async def name(self) -> str:
        async with httpx.AsyncClient(base_url=self.rest, timeout=20) as rest:
            found = (await rest.get(USER)).raise_for_status().json()
        return str(found["data"]["profile"]["firstName"])

    async def rename(self, name: str) -> None:
        async with httpx.AsyncClient(base_url=self.rest, timeout=20) as rest:
            change = await rest.put(f"{USER}/profile", json={"firstName": name})
            change.raise_for_status()

    def end(self) -> None:
        if self._run is not None:
            self._run.terminate()
            self._run.wait()

    async def _answers(self) -> bool:
        assert self._run is not None
        assert self._run.poll() is None, "Finlink has ended"
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{self.rest}/ready")).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def clone(tmp_path: Path, full: bool) -> Iterator[Clone]:
    if not full:
        pytest.skip("starts Finlink again and again")
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
    made = Clone(folder, home)
    yield made
    made.end()


async def test_all_of_it_works_when_pasted(clone: Clone, figures: Figures) -> None:
    await clone.bring("up")
    body = {"userId": "user_kept", "email": "kept@example.com", "firstName": "Before"}
    async with httpx.AsyncClient(base_url=clone.rest, timeout=20) as rest:
        (await rest.post("/api/v1/users", json=body)).raise_for_status()
    done = set()
    for block in guide.pasted():
        await clone.bring(block.finlink)
        await clone.paste(block.text)
        for part, changed in CHANGES.items():
            if part in block.text:
                done.add(part)
                await changed(clone)
    figures.show("blocks that were pasted", len(guide.pasted()))
    assert done == CHANGES.keys()


async def _after_a_backup(clone: Clone) -> None:
    await clone.rename("After")


async def _after_a_restore_elsewhere(clone: Clone) -> None:
    uri = f"mongodb://127.0.0.1:{clone.ports['MONGO_PORT']}/?replicaSet=finlink"
    async with AsyncMongoClient[dict[str, Any]](uri) as client:
        user = await client["restored"]["users"].find_one({"userId": "user_kept"})
    assert user is not None
    assert user["profile"]["firstName"] == "Before"
    assert await clone.name() == "After"


async def _after_a_copy(clone: Clone) -> None:
    await clone.bring("up")
    await clone.rename("Later")
    await clone.bring("stopped")


async def _after_putting_it_back(clone: Clone) -> None:
    await clone.bring("up")
    assert await clone.name() == "After"


# What is done or found after the block that has these words.
CHANGES: Mapping[str, Callable[[Clone], Awaitable[None]]] = {
    "server backup ~/": _after_a_backup,
    "server restore ~/": _after_a_restore_elsewhere,
    "cp -a .data ~/": _after_a_copy,
    "mv .data .data.broken": _after_putting_it_back,
}
