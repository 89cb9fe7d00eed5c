"""`python -m server run` itself, with the real processes."""

from __future__ import annotations

import os
import signal
import ssl
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from server.platforms.registry import PLATFORMS
from server.settings import load
from server.supervisor.console import RunConsole
from server.supervisor.run import Run
from tests.stack import ROOT
from tests.supervisor.harness import (
    DEADLINE,
    WholeRun,
    alive,
    child,
    free_ports,
    patiently,
    refused,
    run_env,
    whole_run,
    words,
)

PROCESSES = {"mongod", "sandbox", "worker-0", "worker-1", "envoy"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeRun]:
    folder = tmp_path_factory.mktemp("run")
    env = run_env(folder / "data", RATE_LIMIT_USERS="29", ACCESS_LOG="all")
    with whole_run(env, folder / "output") as started:
        started.wait_ready()
        yield started


def get_users(run: WholeRun) -> int:
    url = f"http://127.0.0.1:{run.port('PORT')}/api/v1/users"
    with urllib.request.urlopen(url, timeout=DEADLINE) as reply:
        return int(reply.status)


def test_everything_runs_and_is_announced(run: WholeRun) -> None:
    record = run.record()
    assert record["pids"].keys() == PROCESSES
    assert record["ports"] == {
        "rest": run.port("PORT"),
        "https": run.port("TLS_PORT"),
        "grpc": run.port("GRPC_PORT"),
        "admin": run.port("ADMIN_PORT"),
        "metrics": run.port("METRICS_PORT"),
        "mongo": run.port("MONGO_PORT"),
        "sandbox_control": run.port("SANDBOX_CONTROL_PORT"),
        "sandbox_inbox": run.port("SANDBOX_INBOX_PORT"),
        "sandbox_mail": run.port("SANDBOX_MAIL_PORT"),
        **{each.name: run.port(f"{each.name}_SANDBOX_PORT".upper()) for each in PLATFORMS},
    }
    assert get_users(run) == 200
    said = run.output.read_text()
    assert f"http://localhost:{run.port('PORT')}" in said
    assert f"localhost:{run.port('GRPC_PORT')}" in said
    assert str(run.data) in said
    inbox = f"http://127.0.0.1:{run.port('SANDBOX_INBOX_PORT')}/inbox"
    assert inbox in said
    with urllib.request.urlopen(inbox, timeout=DEADLINE) as reply:
        assert reply.status == 200
    assert "finlink users create" in said, "what to do next"
    built = (ROOT / "console" / "dist" / "index.html").is_file()
    assert ("run `make console`" in said) == (not built)


def test_https_and_limits_are_as_the_settings_say(run: WholeRun) -> None:
    trusting = ssl.create_default_context(cafile=run.data / "tls" / "development.crt")
    url = f"https://localhost:{run.port('TLS_PORT')}/api/v1/users"
    assert f"https://localhost:{run.port('TLS_PORT')}" in run.output.read_text()
    with urllib.request.urlopen(url, timeout=DEADLINE, context=trusting) as reply:
        assert reply.status == 200
        assert reply.headers["x-ratelimit-limit"] == "29"
    log = run.data / "log" / "access.log"
    call = '"rpc":"/finlink.users.v1.UserService/ListUsers"'
    patiently(lambda: call in log.read_text(), log)  # Envoy writes in batches


def test_no_secret_on_a_command_line_or_in_the_output(run: WholeRun) -> None:
    key = (run.data / "encryption.key").read_text().strip()
    assert key not in run.output.read_text()
    for pid in run.pids().values():
        assert key not in " ".join(psutil.Process(pid).cmdline())
    assert key not in str(psutil.Process(run.pids()["mongod"]).environ())
    assert psutil.Process(run.pids()["worker-0"]).environ()["ENCRYPTION_KEY"] == key


@pytest.mark.parametrize("name", ["worker-1", "envoy", "sandbox"])
def test_a_killed_process_is_restarted(run: WholeRun, name: str) -> None:
    pid = run.pids()[name]
    os.kill(pid, signal.SIGKILL)
    run.wait(lambda: run.record()["ready"] and run.pids().get(name, pid) != pid)
    assert get_users(run) == 200
    assert f"{name} ended with signal SIGKILL" in run.output.read_text()


@pytest.mark.full_only
def test_a_second_run_on_the_same_folder_is_refused(run: WholeRun) -> None:
    code, lines = refused(run.env)
    assert code == 1
    (line,) = lines
    assert f"(process {run.process.pid}) uses the data folder {run.data}" in line


@pytest.mark.full_only
def test_a_second_run_on_the_same_ports_is_refused(run: WholeRun, tmp_path: Path) -> None:
    code, lines = refused({**run.env, "DATA_DIR": str(tmp_path)})
    assert code == 1
    (line,) = lines
    assert line.startswith(f"finlink: Port {run.port('PORT')} is in use (REST). Set PORT to ")


@pytest.mark.full_only
def test_killed_itself_it_takes_its_processes_along_and_starts_again(run: WholeRun) -> None:
    pids, sockets = run.pids(), Path(run.record()["sockets"])
    assert sockets.is_dir()
    run.process.kill()
    run.process.wait(DEADLINE)
    with whole_run(run.env, run.output) as again:
        again.wait(lambda: again.pids().get("mongod") not in {None, pids["mongod"]})
        assert [name for name, pid in pids.items() if alive(pid)] == []
        assert not sockets.exists()
        again.wait_ready()
        leaves_nothing_behind(again, [signal.SIGINT])


@pytest.mark.full_only
def test_two_ctrl_c_during_the_start(tmp_path: Path) -> None:
    with whole_run(run_env(tmp_path / "data"), tmp_path / "output") as run:
        run.wait(lambda: "worker-0" in run.pids())
        leaves_nothing_behind(run, [signal.SIGINT, signal.SIGINT])


def leaves_nothing_behind(run: WholeRun, signals: Sequence[signal.Signals]) -> None:
    pids, sockets = run.pids(), Path(run.record()["sockets"])
    assert sockets.is_dir()
    for number in signals:
        run.process.send_signal(number)
    assert run.process.wait(DEADLINE) == 0
    assert [name for name, pid in pids.items() if alive(pid)] == []
    assert not sockets.exists()
    assert not (run.data / "run.json").exists()


async def test_order_of_stopping(tmp_path: Path) -> None:
    said = tmp_path / "said"
    given: dict[str, Any] = {"data_dir": tmp_path / "data", "admin_port": free_ports(1)[0]}
    settings = load(_env_file=None, **given)
    run = Run(settings, RunConsole())
    names = ["mongod", "sandbox", "worker-0", "envoy"]
    await run.supervisor.start([child(name, said) for name in names])
    await run.stop()
    ended = [word for word in words(said) if word.endswith("ended")]
    assert ended == ["worker-0 ended", "envoy ended", "sandbox ended", "mongod ended"]
