"""A whole Finlink for tests: `python -m server run` on free ports with a data folder of its own."""

from __future__ import annotations

import fcntl
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from server.settings import PORT_SETTINGS

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120.0
STOP_SECONDS = 60.0


@dataclass(frozen=True)
class Stack:
    """A running Finlink."""

    data_dir: Path
    ports: Mapping[str, int]
    process: subprocess.Popen[bytes]
    log: Path

    def turn_clock(self, ahead: timedelta) -> None:
        """Let all processes of one that is `turnable` take it to be so much later than it is."""
        with (self.data_dir / "clock").open("r+b") as file:
            file.write(struct.pack("q", ahead // timedelta(milliseconds=1)))

    @property
    def ahead(self) -> timedelta:
        """By how much its clock was turned."""
        (milliseconds,) = struct.unpack("q", (self.data_dir / "clock").read_bytes())
        return timedelta(milliseconds=milliseconds)

    @property
    def rest(self) -> str:
        """`http://127.0.0.1:PORT`"""
        return f"http://127.0.0.1:{self.ports['PORT']}"

    @property
    def grpc(self) -> str:
        """`127.0.0.1:PORT`"""
        return f"127.0.0.1:{self.ports['GRPC_PORT']}"

    @property
    def mongodb_uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.ports['MONGO_PORT']}/?replicaSet=finlink"

    def status(self) -> dict[str, Any]:
        """What the supervisor reports of its processes, pids included."""
        content: dict[str, Any] = json.loads((self.data_dir / "run.json").read_text())
        return content


# Ports of this process's tests, which may not be in use yet. A locked file says so to other processes.
_given: set[int] = set()
_PORTS = Path(tempfile.gettempdir()) / "finlink-test-ports"


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, below those that the system gives to outgoing connections."""
    found: list[int] = []
    _PORTS.mkdir(exist_ok=True)
    while len(found) < count:
        port = random.randrange(10_000, 32_000)  # noqa: S311 - no secret
        if port in _given:
            continue
        file = os.open(_PORTS / str(port), os.O_CREAT | os.O_WRONLY)
        with socket.socket() as probe, suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until this process ends
            probe.bind(("127.0.0.1", port))
            found.append(port)
            _given.add(port)
            continue
        os.close(file)
    return found


@contextmanager
def turnable(data_dir: Path, **settings: str) -> Iterator[Stack]:
    """The same as `running`, with a clock that `Stack.turn_clock` turns."""
    clock = data_dir / "clock"
    clock.write_bytes(bytes(8))
    with running(data_dir, APP_ENV="test", CLOCK_FILE=str(clock), **settings) as stack:
        yield stack


@contextmanager
def running(data_dir: Path, **settings: str) -> Iterator[Stack]:
    """Start all of Finlink with `settings` in its environment; stop it at the end."""
    data_dir.mkdir(parents=True, exist_ok=True)
    ports = dict(zip(PORT_SETTINGS, free_ports(len(PORT_SETTINGS)), strict=True))
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MONGO")}
    environment = {
        **clean,
        **{name: str(port) for name, port in ports.items()},
        "DATA_DIR": str(data_dir),
        "APP_ENV": "development",
        "WORKERS": "2",
        "RATE_LIMITS": "off",  # all tests call from one address
        "BCRYPT_ROUNDS": "10",  # a quarter of the work
        **settings,
    }
    log = data_dir / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", "run"],
            cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    stack = Stack(data_dir, ports, process, log)
    try:
        _wait_until_ready(stack)
        yield stack
    finally:
        process.terminate()
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the stack did not stop:\n{_tail(log)}") from None
    assert code == 0, f"the stack ended with {code}:\n{_tail(log)}"


def _wait_until_ready(stack: Stack) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if stack.process.poll() is not None:
            raise AssertionError(f"the stack did not start:\n{_tail(stack.log)}")
        try:
            if stack.status().get("ready"):
                return
        except (FileNotFoundError, json.JSONDecodeError):
            pass
        time.sleep(0.05)
    raise AssertionError(f"the stack is not ready in time:\n{_tail(stack.log)}")


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-40:])
