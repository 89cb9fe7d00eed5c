"""How the sandbox, the workers and Envoy are started."""

import os
import signal
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from server.config import Settings
from server.delivery.settings import DeliverySettings
from server.edge.probes import envoy_ready, port_open, serving, until
from server.observability.exposition import FOLDER_SETTING, forget_process
from server.platforms.registry import PLATFORMS
from server.settings import is_secret
from server.supervisor.process import ProcessSpec

DEFAULT_METRICS_PORT = 9464


def needs_sandbox(settings: Settings) -> bool:
    delivery = settings.of(DeliverySettings).needs_sandbox(settings)
    return delivery or any(platform.needs_sandbox(settings) for platform in PLATFORMS)


def sandbox_ports(settings: Settings) -> Mapping[str, int]:
    """The ports of the platforms that it stands in for."""
    return {each.name: settings.of(each.settings).sandbox_port for each in PLATFORMS}


def inbox_ports(settings: Settings) -> Mapping[str, int]:
    """Those of its inbox, by what listens there: `inbox` (the page, SMS) and `mail`."""
    own = settings.of(DeliverySettings)
    return {"inbox": own.sandbox_inbox_port, "mail": own.sandbox_mail_port}


def metrics_port(settings: Settings) -> int:
    """The port where this run serves its metrics; 0 for none."""
    return DEFAULT_METRICS_PORT if settings.metrics_port is None else settings.metrics_port


def env_without_secrets() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not is_secret(name)}


def worker_env(
    mongodb_uri: str,
    encryption_key: str | None,
    *,
    metrics: Path,
    generations: Path,
    user_limits: Path,
) -> dict[str, str]:
    """The environment, with the values that this run has chosen.

    Workers count into the folder `metrics`, and share the files `generations` and `user_limits`.
    """
    env = dict(os.environ)
    env["MONGODB_URI"] = mongodb_uri
    env["METRICS_PORT"] = "0"  # the supervisor serves them
    env[FOLDER_SETTING] = str(metrics)
    env["GENERATIONS_FILE"] = str(generations)
    env["USER_LIMITS_FILE"] = str(user_limits)
    if encryption_key is not None:
        env["ENCRYPTION_KEY"] = encryption_key
    return env


def sandbox(settings: Settings) -> ProcessSpec:
    ports = sandbox_ports(settings)
    argv = [sys.executable, "-m", "sandbox"]
    for name, port in ports.items():
        argv += ["--port", f"{name}={port}"]
    for name, port in inbox_ports(settings).items():
        argv += [f"--{name}-port", str(port)]
    # Logins survive a restart, as they do at the platforms.
    argv += ["--memory", str(settings.data_dir / "sandbox.json")]
    if settings.sandbox_control_port:
        argv += ["--control-port", str(settings.sandbox_control_port)]
    if settings.sandbox_data is not None:
        argv += ["--data", str(settings.sandbox_data)]

    async def all_respond() -> None:
        for port in (*ports.values(), *inbox_ports(settings).values()):
            await until(partial(port_open, port))

    return ProcessSpec(
        "sandbox", tuple(argv), env_without_secrets(), ready=all_respond, ready_timeout=30
    )


def worker(index: int, socket: Path, env: dict[str, str]) -> ProcessSpec:
    target = f"unix:{socket}"
    return ProcessSpec(
        name=f"worker-{index}",
        argv=(sys.executable, "-m", "server", "serve", "--listen", target),
        env=env,
        ready=partial(until, partial(serving, target)),
        ready_timeout=60,
        # Envoy sends no calls by then; those under way have another 10 s, see app.py.
        stop_signal=signal.SIGINT,
        stop_timeout=15,
        # A killed worker leaves its socket file, and no process can listen on it again.
        before_start=partial(socket.unlink, missing_ok=True),
        after_end=partial(forget_process, Path(env[FOLDER_SETTING])),
    )


def envoy(program: Path, config: Path, admin_port: int, log: Path, *, workers: int) -> ProcessSpec:
    options = (
        *("--log-level", "warn", "--log-format", "%Y-%m-%dT%T.%e %l %n %v"),
        # A call costs a worker more time than Envoy; more threads would only compete with the workers.
        *("--concurrency", str(max(1, workers // 2))),
    )
    return ProcessSpec(
        name="envoy",
        # With hot restart, all Envoys of a machine that have the same id would share memory.
        argv=(str(program), "-c", str(config), "--disable-hot-restart", *options),
        env=env_without_secrets(),
        ready=partial(until, partial(envoy_ready, admin_port)),
        ready_timeout=30,
        log=log,
    )
