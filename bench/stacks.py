"""The contestants: how each is installed, started, and reached."""

from __future__ import annotations

import json
import random
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from bench import tools
from bench.folders import DATA, LOGS, PEERS
from server.edge.probes import port_open, until
from server.settings import PORT_SETTINGS
from server.supervisor.process import ProcessSpec, SupervisedProcess
from server.supervisor.specs import env_without_secrets

# One for all, as several Finlinks take turns on a database. It guards invented data.
ENCRYPTION_KEY = "6265" * 16


@dataclass
class Stack:
    """A contestant that is to be started, or is running."""

    name: str
    label: str
    spec: ProcessSpec
    rest_port: int | None = None
    grpc_port: int | None = None
    metrics_port: int | None = None
    run_file: Path | None = None  # of Finlink: names its processes
    process: SupervisedProcess | None = field(default=None, repr=False)

    def worker_pids(self) -> list[int]:
        """The processes that serve; without supervisors and proxies."""
        if self.run_file is not None:
            pids: Mapping[str, int] = json.loads(self.run_file.read_text())["pids"]
            return [pid for name, pid in pids.items() if name.startswith("worker-")]
        if self.process is None or self.process.pid is None:
            return []
        process = psutil.Process(self.process.pid)
        # uvicorn has one that tracks resources, which serves nobody.
        children = [
            child.pid
            for child in process.children()
            if "resource_tracker" not in str(child.cmdline())
        ]
        return children or [process.pid]

    def memory_mb(self) -> list[float]:
        """Proportional set size of each serving process, in MB: pages that several share count once."""
        sizes = []
        for pid in self.worker_pids():
            with suppress(psutil.Error):
                sizes.append(round(psutil.Process(pid).memory_full_info().pss / 1e6, 1))
        return sizes


def processor_seconds(pid: int | None) -> float:
    """The processor time of a process and all its descendants."""
    if pid is None:
        return 0.0
    used = 0.0
    with suppress(psutil.Error):
        top = psutil.Process(pid)
        for process in [top, *top.children(recursive=True)]:
            with suppress(psutil.Error):
                times = process.cpu_times()
                used += times.user + times.system
    return used


def free_port() -> int:
    """A port that nothing listens on, below those that the system gives to outgoing connections."""
    while True:
        port = random.randrange(10_000, 32_000)  # noqa: S311 - no secret
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def finlink(name: str, uri: str, database: str, **settings: str) -> Stack:
    """Finlink as `make run` starts it, with the no-op beside the contract."""
    ports = {setting: free_port() for setting in PORT_SETTINGS}
    folder = DATA / name
    run_file = folder / "run.json"
    env = {
        **env_without_secrets(),
        **{setting: str(port) for setting, port in ports.items()},
        "MONGODB_URI": uri,
        "DB_NAME": database,
        "DATA_DIR": str(folder),
        "HOST": "127.0.0.1",
        "APP_ENV": "development",
        "RATE_LIMITS": "off",
        "ENCRYPTION_KEY": ENCRYPTION_KEY,
        **settings,
    }

    async def ready() -> None:
        await until(partial(_ready, run_file))

    run_file.unlink(missing_ok=True)
    return Stack(
        name=name,
        label="Finlink",
        spec=ProcessSpec(
            name=name,
            argv=(sys.executable, "-m", "bench.noop", "run"),
            env=env,
            ready=ready,
            ready_timeout=180,
            stop_timeout=40,
            log=LOGS / f"{name}.log",
            log_stdout=True,
        ),
        rest_port=ports["PORT"],
        grpc_port=ports["GRPC_PORT"],
        metrics_port=ports["METRICS_PORT"],
        run_file=run_file,
    )


async def _ready(run_file: Path) -> bool:
    try:
        return bool(json.loads(run_file.read_text())["ready"])  # noqa: ASYNC240 - a few bytes
    except (OSError, ValueError, KeyError):
        return False


def express(uri: str, database: str, workers: int) -> Stack:
    """Express with Mongoose in production mode; two workers are node's own cluster."""
    tools.check("node", "npm")
    port, folder = free_port(), DATA / "express"
    env = _peer_env(uri, database, workers, port) | {"NODE_ENV": "production"}
    spec = _peer_spec(
        f"express-{workers}", (tools.find("node"), str(folder / "server.js")), env, port
    )
    return Stack(spec.name, "Express + Mongoose" + _many(workers), spec, rest_port=port)


def fastapi(uri: str, database: str, workers: int) -> Stack:
    """FastAPI with PyMongo's asyncio API under uvicorn, with uvloop and httptools, without its access log."""
    port, folder = free_port(), DATA / "fastapi"
    argv = (
        str(folder / "bin" / "python"), "-m", "uvicorn", "app:app", "--app-dir", str(PEERS / "fastapi"),
        "--port", str(port), "--workers", str(workers), "--loop", "uvloop", "--http", "httptools",
        "--no-access-log", "--log-level", "warning",
    )  # fmt: skip
    spec = _peer_spec(f"fastapi-{workers}", argv, _peer_env(uri, database, workers, port), port)
    return Stack(spec.name, "FastAPI + PyMongo" + _many(workers), spec, rest_port=port)


def grpc_go(uri: str, database: str) -> Stack:
    """grpc-go with the official MongoDB driver; it takes all cores by itself."""
    port = free_port()
    argv = (str(DATA / "grpc_go" / "bin" / "server"),)
    spec = _peer_spec("grpc-go", argv, _peer_env(uri, database, 1, port), port)
    return Stack(spec.name, "grpc-go + mongo-driver", spec, grpc_port=port)


def _many(workers: int) -> str:
    return ", one process" if workers == 1 else f", {workers} workers"


def _peer_env(uri: str, database: str, workers: int, port: int) -> dict[str, str]:
    own = {"MONGODB_URI": uri, "DB_NAME": database, "WORKERS": str(workers), "PORT": str(port)}
    return {**env_without_secrets(), **own, "PYTHONDONTWRITEBYTECODE": "1"}


def _peer_spec(name: str, argv: tuple[str, ...], env: Mapping[str, str], port: int) -> ProcessSpec:
    return ProcessSpec(
        name=name,
        argv=argv,
        env=env,
        ready=partial(until, partial(port_open, port)),
        ready_timeout=60,
        log=LOGS / f"{name}.log",
        log_stdout=True,
    )
