from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

SECRET = "sandbox_secret"
APPROVED_KEY = "approved_app"


@dataclass(frozen=True)
class Sandbox:
    zerodha: str
    fi_money: str

    @property
    def kite_login(self) -> str:
        return f"{self.zerodha}/connect/login"

    @property
    def fi_stream(self) -> str:
        return f"{self.fi_money}/mcp/stream"


@contextmanager
def running_sandbox(*options: str) -> Iterator[Sandbox]:
    command = [
        sys.executable, "-m", "sandbox", "--free-ports", "--latency-ms", "0",
        "--option", f"zerodha.secret={SECRET}", "--option", f"zerodha.approved={APPROVED_KEY}",
        *options,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = next(event for event in map(json.loads, process.stdout) if "ports" in event)
            yield Sandbox(
                **{name: f"http://127.0.0.1:{ready['ports'][name]}" for name in ready["ports"]}
            )
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture(scope="session", params=["json", "event stream"])
def fi_sandbox(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[Sandbox]:
    """Both ways an MCP server may answer."""
    if request.param == "json":
        yield sandbox
    else:
        with running_sandbox("--option", "fi_money.sse=true") as running:
            yield running


@pytest.fixture
def clock() -> Callable[[], datetime]:
    return lambda: datetime(2026, 2, 3, 4, 0, tzinfo=UTC)
