"""Fixtures for tests of the Python client, which run with both of its flavours, and of the command line."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from finlink_cli.app import main

from tests.clients.command_line import Outcome
from tests.clients.flavours import Client, Flavour
from tests.clients.scripted import Script, serving
from tests.stack import Stack


@pytest.fixture(params=["async", "blocking"])
def flavour(request: pytest.FixtureRequest) -> Flavour:
    return Flavour(request.param)


@pytest.fixture
async def client(flavour: Flavour, stack: Stack) -> AsyncIterator[Client]:
    """A client of the running Finlink."""
    async with flavour.connect(stack.grpc) as connected:
        yield connected


@pytest.fixture
def script() -> Iterator[Script]:
    """A server that answers as told."""
    with serving() as started:
        yield started


@pytest.fixture
async def scripted(flavour: Flavour, script: Script) -> AsyncIterator[Client]:
    """A client of that server."""
    async with flavour.connect(script.address) as connected:
        yield connected


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The command line without settings of this machine; where its configuration file would be."""
    for name in [name for name in os.environ if name.startswith("FINLINK_")]:
        monkeypatch.delenv(name)
    for name in ("NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "finlink" / "config.toml"


@pytest.fixture
def finlink(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Run `finlink ARGUMENTS`, in this process."""

    def run(*arguments: str, stdin: str | bytes = "") -> Outcome:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8"))
        code = main(arguments)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def at_stack(
    finlink: Callable[..., Outcome], stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """The same at the running Finlink."""
    monkeypatch.setenv("FINLINK_ADDRESS", stack.grpc)
    return finlink


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Whether all clients run all scenarios, as in `make test-clients`, or what is quick."""
    return bool(pytestconfig.getoption("--full"))
