from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import psutil
import pytest

from server.config import Settings
from server.edge.errors import StartError
from server.edge.probes import port_open, until
from server.edge.programs import find_mongod
from server.platforms.registry import PLATFORMS
from server.settings import PORT_SETTINGS, load
from server.supervisor.preflight import (
    Listener,
    check_mongodb,
    check_ports,
    end_leftovers,
    listeners,
)
from server.supervisor.specs import env_without_secrets, needs_sandbox, worker_env
from tests.supervisor.harness import DEADLINE, free_ports

SHARED = {name: Path(name) for name in ("metrics", "generations", "user_limits")}


def settings(**given: object) -> Settings:
    return load(_env_file=None, **given)


@pytest.fixture
def taken() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield int(server.getsockname()[1])


def test_a_port_in_use_is_one_line(taken: int) -> None:
    with pytest.raises(StartError) as caught:
        check_ports([Listener("REST", "PORT", "0.0.0.0", taken)])  # noqa: S104 - the default
    assert str(caught.value) == (
        f"Port {taken} is in use (REST). Set PORT to a free port, or stop the program that uses this one."
    )


def test_a_port_envoy_could_share_is_in_use_too() -> None:
    with closing(socket.socket()) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = int(other.getsockname()[1])
        with pytest.raises(StartError, match="is in use"):
            check_ports([Listener("REST", "PORT", "127.0.0.1", port)])


def test_one_port_for_two_things() -> None:
    port, other = free_ports(2)
    same = settings(port=port, grpc_port=port, tls_port=other)
    with pytest.raises(StartError, match=r"set twice: PORT \(REST\) and GRPC_PORT"):
        check_ports(listeners(same))


def test_an_address_that_is_not_here() -> None:
    with pytest.raises(StartError, match="Set HOST"):
        check_ports([Listener("REST", "PORT", "192.0.2.1", 3000)])


def test_only_ports_that_will_be_used_are_looked_at() -> None:
    def names(*, metrics: int = 0, embedded: bool = False, sandbox: bool = False) -> list[str]:
        found = listeners(settings(), metrics=metrics, embedded=embedded, sandbox=sandbox)
        return [listener.setting for listener in found]

    always = ["PORT", "TLS_PORT", "GRPC_PORT", "ADMIN_PORT"]
    assert names() == always
    assert names(metrics=9464) == [*always, "METRICS_PORT"]
    assert names(embedded=True) == [*always, "MONGO_PORT"]
    of_sandbox = [name for name in PORT_SETTINGS if name.endswith("_SANDBOX_PORT")]
    inbox = ["SANDBOX_INBOX_PORT", "SANDBOX_MAIL_PORT"]
    assert names(sandbox=True) == [*always, *of_sandbox, *inbox, "SANDBOX_CONTROL_PORT"]


async def test_a_mongodb_that_does_not_respond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.supervisor.preflight.REPLY_TIMEOUT_MS", 300)
    (port,) = free_ports(1)
    with pytest.raises(StartError, match=f"MongoDB at 127.0.0.1:{port} does not reply") as caught:
        await check_mongodb(f"mongodb://someone:hunter2@127.0.0.1:{port}/?replicaSet=rs")
    assert "hunter2" not in str(caught.value)
    assert "someone" not in str(caught.value)


async def test_an_address_that_is_none() -> None:
    with pytest.raises(StartError, match="not a usable MongoDB address") as caught:
        await check_mongodb("mongodb://someone:hunt/er2@host:nan/")
    assert "er2" not in str(caught.value)


async def test_a_mongodb_without_replica_set(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    data = tmp_path / "data"
    data.mkdir()
    argv = [str(find_mongod()), "--port", str(port), "--dbpath", str(data), "--nounixsocket"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as mongod:  # noqa: ASYNC220
        try:
            async with asyncio.timeout(DEADLINE):
                await until(partial(port_open, port))
            with pytest.raises(StartError, match="needs transactions and so a replica set"):
                await check_mongodb(f"mongodb://127.0.0.1:{port}/")
        finally:
            mongod.kill()


async def test_what_is_left_is_ended_and_killed_if_need_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("server.supervisor.preflight.MONGOD_END_TIMEOUT", 0.5)
    stubborn = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); signal.pause()"
    argv = [sys.executable, "-c", stubborn]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220
        assert process.stdout is not None
        process.stdout.readline()
        await end_leftovers({"mongod": psutil.Process(process.pid)})
        assert process.wait(DEADLINE) == -signal.SIGKILL


def test_the_sandbox_runs_while_an_address_points_to_it() -> None:
    platforms = [f"{each.name}_{name}" for each in PLATFORMS for name in each.addresses]
    real = dict.fromkeys(platforms, "http://there")
    delivery = {
        "smtp_url": "smtp://there", "mail_from": "f@there.example",
        "sms_url": "https://there", "sms_token": "t", "sms_from": "FINLNK",
    }  # fmt: skip
    assert needs_sandbox(load(_env_file=None))
    assert needs_sandbox(load(_env_file=None, **{platforms[0]: "http://there"}, **delivery))
    assert needs_sandbox(load(_env_file=None, **real))
    assert not needs_sandbox(load(_env_file=None, **real, **delivery))
    assert not needs_sandbox(load(_env_file=None, sandbox=False))


def test_workers_get_what_the_run_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENCRYPTION_KEY", raising=False)
    env = worker_env("mongodb://here", "key", **SHARED)
    assert env["MONGODB_URI"] == "mongodb://here"
    assert env["GENERATIONS_FILE"] == str(SHARED["generations"])
    assert env["USER_LIMITS_FILE"] == str(SHARED["user_limits"])
    assert env["ENCRYPTION_KEY"] == "key"
    own = worker_env("mongodb://here", None, **SHARED)
    assert "ENCRYPTION_KEY" not in own  # as the environment, or .env, has it


def test_other_processes_get_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCRYPTION_KEY", "hunter2")
    monkeypatch.setenv("MONGODB_URI", "mongodb://u:hunter2@h")
    monkeypatch.setenv("zerodha_api_secret", "hunter2")
    monkeypatch.setenv("LANG", "C.UTF-8")
    assert "hunter2" not in str(env_without_secrets())
    assert env_without_secrets()["LANG"] == "C.UTF-8"
