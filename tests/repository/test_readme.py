"""README and the guides for contributors, pasted into a fresh clone in the order that they tell.

The clone is of what is committed, the documents are as they are. What pip has downloaded is used again.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from server.edge.probes import until
from tests import programs
from tests.chaos.figures import Figures
from tests.clone import Clone
from tests.repository import pasted
from tests.stack import ROOT

pytestmark = pytest.mark.full_only

INSTALL_SECONDS = 600.0
FOLLOW_SECONDS = 20.0


@dataclass(frozen=True)
class Reader:
    """Somebody who has cloned Finlink and typed `make run`."""

    clone: Clone
    began: float
    grpcurl: Path | None


@pytest.fixture(scope="module")
async def reader(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Reader]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout, or there is no git: nothing to clone")
    base = tmp_path_factory.mktemp("reader")
    (base / "home").mkdir()
    grpcurl = programs.grpcurl(pytestconfig)
    path = os.pathsep.join([*([str(grpcurl.parent)] if grpcurl else []), os.environ["PATH"]])
    clone = Clone(base / "finlink", base / "home", PATH=path, **_of_pip())
    began = time.monotonic()
    try:
        command = ["git", "clone", "--quiet", str(ROOT), str(clone.folder)]
        await asyncio.to_thread(subprocess.run, command, check=True)
        await clone.start(["make", "run"], INSTALL_SECONDS)
        yield Reader(clone, began, grpcurl)
    finally:
        clone.end()


def _of_pip() -> dict[str, str]:
    """Its settings, where it finds packages here, and its cache."""
    reported = subprocess.check_output([sys.executable, "-m", "pip", "cache", "dir"], text=True)
    settings = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    return {**settings, "PIP_CACHE_DIR": reported.strip()}


async def test_readme(reader: Reader, subtests: pytest.Subtests) -> None:
    figures = Figures("README, pasted into a fresh clone")
    first, *_ = pasted.of_readme()
    checked = set()
    for block in pasted.of_readme():
        with subtests.test(block.text.splitlines()[0]):
            if "grpcurl " in block.text and reader.grpcurl is None:
                pytest.skip("there is no grpcurl on PATH, and no Go that can build one")
            reply = await reader.clone.paste(block.text)
            if block == first:
                figures.show("seconds from git clone to records", time.monotonic() - reader.began)
                figures.show("commands up to there", len(pasted.FIRST_COMMANDS))
            for words, check in CHECKS.items():
                if words in block.text:
                    checked.add(words)
                    await check(reply, reader.clone)
            for shown in pasted.shown_after(block):
                _is_as_shown(shown, reply)
    assert checked == CHECKS.keys()
    await reader.clone.stop()


async def test_guides_for_contributors(reader: Reader, subtests: pytest.Subtests) -> None:
    """Tests are collected, not run: that is minutes, and what all other tests are there for."""
    for line in pasted.of_guides():
        with subtests.test(line):
            reply = await reader.clone.paste(line, PYTEST_ADDOPTS="--collect-only --quiet")
            assert ("pytest" in line or line == "make test") == ("tests/" in reply), reply
    changed = await reader.clone.paste("git status --porcelain")
    assert changed == ""  # what they make is ignored, or committed as it is made


def _is_as_shown(shown: str, reply: str) -> None:
    """Each line, or event, that README shows was among the replies, with all the fields it has there."""
    between = "\n\n" if "\nevent: " in shown else "\n"
    if shown.startswith('{"success": false, '):
        shown = shown.replace("\n", " ")
    for part in shown.strip().split(between):
        kind = part.partition('": ')[0] if part.startswith("{") else part.splitlines()[1]
        alike = [each for each in reply.split(between) if kind in each]
        assert any(pasted.names(part) <= pasted.names(each) for each in alike), (part, reply)


async def _has_records(reply: str, _: Clone) -> None:
    assert len([line for line in reply.splitlines() if "debit" in line or "credit" in line]) == 3


async def _last_alone_is_refused(reply: str, _: Clone) -> None:
    replies = [json.loads(line) for line in reply.splitlines()]
    assert [each for each in replies if "error" in each] == replies[-1:]
    assert any(each["data"].get("records") for each in replies[:-1])


async def _is_the_trail(reply: str, _: Clone) -> None:
    events, *_verified = reply.splitlines()
    assert json.loads(events)["data"]["events"]


async def _is_whole(reply: str, _: Clone) -> None:
    assert "completed" in json.loads(reply.splitlines()[-1])


async def _ends_disconnected(reply: str, _: Clone) -> None:
    *_before, last = [line for line in reply.splitlines() if line.startswith("data: {")]
    assert (
        json.loads(last.removeprefix("data: "))["connector"]["connectionStatus"] == "disconnected"
    )


async def _every_call_needs_a_key(_: str, clone: Clone) -> None:
    async def refused() -> bool:
        async with httpx.AsyncClient(base_url=clone.rest) as rest:
            return (await rest.get("/api/v1/users/user_12345")).status_code == 401

    async with asyncio.timeout(FOLLOW_SECONDS):
        await until(refused)


# What is found in the replies to a block that has these words, or afterwards.
CHECKS: Mapping[str, Callable[[str, Clone], Awaitable[None]]] = {
    "finlink records": _has_records,
    '"userId": "no spaces"': _last_alone_is_refused,
    "/audit-events": _is_the_trail,
    "/export": _is_whole,
    "/connectors/watch": _ends_disconnected,
    "keys create": _every_call_needs_a_key,
}
