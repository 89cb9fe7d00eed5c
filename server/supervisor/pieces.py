"""What the sandbox, the workers and Envoy are started with."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from server.config import Settings
from server.edge.probes import envoy_ready, port_answers, serving, until
from server.observability.exposition import FOLDER_SETTING, forget_process
from server.platforms.registry import PLATFORMS
from server.settings import SECRET_SETTINGS
from server.supervisor.piece import Spec

DEFAULT_METRICS_PORT = 9464


def needs_sandbox(settings: Settings) -> bool:
    """Whether any platform's address still is the sandbox's."""
    return any(platform.needs_sandbox(settings) for platform in PLATFORMS)


def sandbox_ports(settings: Settings) -> Mapping[str, int]:
    """By platform."""
    return {each.name: settings.of(each.settings).sandbox_port for each in PLATFORMS}


def metrics_port(settings: Settings) -> int:
    """Where this run's metrics are served; 0 where they are not."""
    return DEFAULT_METRICS_PORT if settings.metrics_port is None else settings.metrics_port


def bare_env() -> dict[str, str]:
    """The environment without secrets, for the pieces that need none."""
    return {
        name: value for name, value in os.environ.items() if name.upper() not in SECRET_SETTINGS
    }


def worker_env(
    mongodb_uri: str,
    encryption_key: str | None,
    *,
    metrics: Path,
    generations: Path,
) -> dict[str, str]:
    """The environment, passed on, with what this run decided.

    Workers count into the folder `metrics`, and share the file `generations`.
    """
    env = dict(os.environ)
    env["MONGODB_URI"] = mongodb_uri
    env["METRICS_PORT"] = "0"  # the supervisor serves them
    env[FOLDER_SETTING] = str(metrics)
    env["GENERATIONS_FILE"] = str(generations)
    if encryption_key is not None:
        env["ENCRYPTION_KEY"] = encryption_key
    return env


def sandbox(settings: Settings) -> Spec:
    ports = sandbox_ports(settings)
    argv = [sys.executable, "-m", "sandbox"]
    for name, port in ports.items():
        argv += ["--port", f"{name}={port}"]
    # Logins outlive a restart, as they do at the platforms.
    argv += ["--memory", str(settings.data_dir / "sandbox.json")]
    if settings.sandbox_data is not None:
        argv += ["--data", str(settings.sandbox_data)]

    async def all_answer() -> None:
        for port in ports.values():
            await until(partial(port_answers, port))

    return Spec("sandbox", tuple(argv), bare_env(), ready=all_answer, ready_within=30)


def worker(index: int, socket: Path, env: dict[str, str]) -> Spec:
    target = f"unix:{socket}"
    return Spec(
        name=f"worker-{index}",
        argv=(sys.executable, "-m", "server", "serve", "--listen", target),
        env=env,
        ready=partial(until, partial(serving, target)),
        ready_within=60,
        # Envoy sends it nothing by then; calls under way have 10 s more, see app.py.
        stop_signal=signal.SIGINT,
        stop_within=15,
        # A worker killed before has left its socket file, on which nobody can listen again.
        before_start=partial(socket.unlink, missing_ok=True),
        after_end=partial(forget_process, Path(env[FOLDER_SETTING])),
    )


def envoy(program: Path, config: Path, admin_port: int, log: Path, *, workers: int) -> Spec:
    options = (
        *("--log-level", "warn", "--log-format", "%Y-%m-%dT%T.%e %l %n %v"),
        # A worker has more to do for a call than Envoy; more threads would only take turns with them.
        *("--concurrency", str(max(1, workers // 2))),
    )
    return Spec(
        name="envoy",
        # Hot restart shares memory among all Envoys of a machine with one id; each is alone here.
        argv=(str(program), "-c", str(config), "--disable-hot-restart", *options),
        env=bare_env(),
        ready=partial(until, partial(envoy_ready, admin_port)),
        ready_within=30,
        log=log,
    )
