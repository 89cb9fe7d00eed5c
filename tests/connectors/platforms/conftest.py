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
    kite: str
    fi: str

    @property
    def kite_login(self) -> str:
        return f"{self.kite}/connect/login"

    @property
    def fi_stream(self) -> str:
        return f"{self.fi}/mcp/stream"


@contextmanager
def running_sandbox(*options: str) -> Iterator[Sandbox]:
    command = [
        sys.executable, "-m", "sandbox", "--kite-port", "0", "--fi-port", "0",
        "--latency-ms", "0", "--kite-secret", SECRET, "--kite-approved", APPROVED_KEY, *options,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = next(event for event in map(json.loads, process.stdout) if "kite_port" in event)
            yield Sandbox(
                f"http://127.0.0.1:{ready['kite_port']}", f"http://127.0.0.1:{ready['fi_port']}"
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
        with running_sandbox("--fi-sse") as running:
            yield running


@pytest.fixture
def clock() -> Callable[[], datetime]:
    return lambda: datetime(2026, 2, 3, 4, 0, tzinfo=UTC)
