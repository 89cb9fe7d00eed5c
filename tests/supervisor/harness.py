"""What these tests share: tiny child programs, free ports, whole runs, waiting for a condition."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from server.edge.probes import until
from server.settings import PORT_SETTINGS
from server.supervisor.process import ProcessSpec

ROOT = Path(__file__).parents[2]
DEADLINE = 120.0  # never reached unless something is broken

# Says in FILE when it runs and when it was told to end; argv: FILE, NAME.
CHILD = """
import pathlib, signal, sys
file, name = sys.argv[1:3]
def say(word):
    with open(file, "a") as out:
        out.write(f"{name} {word}\\n")
def end(*_):
    say("ended")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
say("up")
while True:
    signal.pause()
"""


def child(
    name: str, said: Path, program: str = CHILD, *args: str, ready_word: str = "up", lives: int = 1
) -> ProcessSpec:
    """A process that is ready when it has said so, `lives` times in all."""

    async def is_up() -> bool:
        return words(said).count(f"{name} {ready_word}") >= lives

    return ProcessSpec(
        name=name,
        argv=(sys.executable, "-I", "-S", "-c", program, str(said), name, *args),
        env={},
        ready=partial(until, is_up),
        ready_timeout=DEADLINE,
        stop_timeout=DEADLINE,
    )


def quick(spec: ProcessSpec, **changes: Any) -> ProcessSpec:
    return replace(spec, **changes)


def words(said: Path) -> list[str]:
    return said.read_text().splitlines() if said.exists() else []


async def eventually(condition: Callable[[], object]) -> None:
    async def succeeds() -> bool:
        return bool(condition())

    async with asyncio.timeout(DEADLINE):
        await until(succeeds)


def patiently(condition: Callable[[], object], output: Path) -> None:
    """Wait for something another process does; `output` tells why it did not."""
    give_up = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > give_up:
            raise AssertionError(f"waited in vain; it says:\n{output.read_text()}")
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def free_ports(count: int) -> list[int]:
    """Ports nobody uses now, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(held.getsockname()[1]) for held in sockets]
    finally:
        for held in sockets:
            held.close()


def run_env(data: Path, **more: str) -> dict[str, str]:
    """The environment of a run on free ports, untouched by the machine's own settings."""
    foreign = {
        "MONGODB_URI",
        "ENCRYPTION_KEY",
        "APP_ENV",
        "ENVIRONMENT",
        "NODE_ENV",
        "SANDBOX",
        "HOST",
    }
    env = {name: value for name, value in os.environ.items() if name not in foreign}
    ports = zip(PORT_SETTINGS, free_ports(len(PORT_SETTINGS)), strict=True)
    return {
        **env,
        "DATA_DIR": str(data),
        "WORKERS": "2",
        **{name: str(port) for name, port in ports},
        **more,
    }


@dataclass
class WholeRun:
    """A `python -m server run` of its own."""

    process: subprocess.Popen[bytes]
    env: Mapping[str, str]
    data: Path
    output: Path

    def port(self, setting: str) -> int:
        return int(self.env[setting])

    def record(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.data / "run.json").read_text()))
        except FileNotFoundError:
            return {"ready": False, "pids": {}}

    def pids(self) -> dict[str, int]:
        return dict(self.record()["pids"])

    def wait_ready(self) -> None:
        def ready() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"run ended:\n{self.output.read_text()}")
            return bool(self.record()["ready"])

        self.wait(ready)

    def wait(self, condition: Callable[[], object]) -> None:
        """Wait for something another process does."""
        patiently(condition, self.output)


@contextmanager
def whole_run(env: Mapping[str, str], output: Path) -> Iterator[WholeRun]:
    with output.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", "run"], cwd=ROOT, env=env, stdout=out, stderr=out
        )
    run = WholeRun(process, env, Path(env["DATA_DIR"]), output)
    try:
        yield run
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(DEADLINE)


def refused(env: Mapping[str, str], *args: str) -> tuple[int, Sequence[str]]:
    """Exit code and stderr lines of a run that cannot start."""
    done = subprocess.run(
        [sys.executable, "-m", "server", "run", *args],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()
