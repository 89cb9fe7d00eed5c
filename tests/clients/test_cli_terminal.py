"""The command line as a program: pipes, signals, terminals, completion."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from finlink_words import PLATFORMS, RISK_TOLERANCES, USER_STATUSES

from tests.clients.command_line import PROGRAM, TIMEOUT, Outcome, at_terminal, started
from tests.deploy.guide import blocks
from tests.stack import ROOT

Run: TypeAlias = Callable[..., Outcome]

PASSWORD = "correct horse"
CLI = ROOT / "docs" / "cli.md"
COLOUR = "\x1b["


@pytest.fixture
def user(at_stack: Run, new_id: str) -> str:
    assert at_stack("users", "create", new_id, f"{new_id}@example.com").code == 0
    return new_id


@pytest.mark.full_only
def test_help_needs_no_grpc() -> None:
    program = (
        "import sys; from finlink_cli.app import main; code = main(['users', '--help']); "
        "sys.exit(code or any(name in sys.modules for name in ('grpc', 'google.protobuf')))"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.full_only
def test_ctrl_c_ends_a_watch_quietly(at_stack: Run) -> None:
    with started("watch", "--json") as watch:
        assert watch.stdout is not None
        assert json.loads(watch.stdout.readline())["type"] == "ready"
        watch.send_signal(signal.SIGINT)
        assert watch.communicate(timeout=TIMEOUT) == ("", "")
        assert watch.returncode == 130


@pytest.mark.full_only
def test_a_watch_prints_for_people_and_ends_once_nobody_reads(at_stack: Run, user: str) -> None:
    with started("watch", "--user", user) as watch:
        assert watch.stdout is not None
        assert watch.stderr is not None
        assert watch.stderr.readline() == "Watching; Ctrl-C ends it.\n"
        connect = ("connectors", "connect", user, "zerodha", "--credentials-stdin")
        assert at_stack(*connect, stdin="{}").code == 6
        assert watch.stdout.readline().split()[2:] == [user, "zerodha", "connector", "disconnected"]
        watch.stdout.close()
        assert at_stack("connectors", "disconnect", f"{user}/zerodha", "--yes").code == 0
        assert watch.wait(TIMEOUT) == 141
        assert watch.stderr.read() == ""


def test_a_login_shows_no_secret(at_stack: Run, user: str) -> None:
    with at_terminal("connectors", "connect", user, "zerodha") as terminal:
        terminal.wait_for("User id")
        terminal.type("QX4821")
        terminal.wait_for("Password: ")
        terminal.type_hidden(PASSWORD)
        terminal.wait_for("Connected successfully.")
        assert terminal.ended() == 0
        assert PASSWORD not in terminal.shown
        assert COLOUR in terminal.shown


@pytest.mark.full_only
def test_a_login_on_the_platform_s_own_page(at_stack: Run, user: str) -> None:
    with at_terminal("connectors", "connect", user, "zerodha", "--json") as terminal:
        terminal.wait_for("User id (empty to log in on the platform's own page)")
        terminal.type("")
        terminal.wait_for("press Enter")
        address = terminal.shown.partition("Log in at ")[2].split()[0]
        api_key = parse_qs(urlsplit(address).query)["api_key"][0]
        form = {"user_id": "QX4821", "password": PASSWORD, "api_key": api_key}
        handed_back = httpx.post(address.partition("?")[0], data=form).headers["location"]
        terminal.type_hidden(handed_back)
        terminal.wait_for('{"sessionId": ')
        assert terminal.ended() == 0
        assert "request_token" not in terminal.shown
    assert (
        at_stack("connectors", "show", f"{user}/zerodha", "--json").json["connectionStatus"]
        == "connected"
    )


def test_no_is_no(at_stack: Run, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with at_terminal("users", "delete", user) as terminal:
        terminal.wait_for("[y/N]")
        terminal.type("n")
        terminal.wait_for("nothing was changed")
        assert terminal.ended() == 1
        assert COLOUR not in terminal.shown
    assert at_stack("users", "show", user).code == 0


@pytest.mark.full_only
def test_the_session_of_the_documentation(at_stack: Run) -> None:
    """As it is pasted into a shell."""
    session = "".join(block.text for block in blocks(CLI) if block.language == "console")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", session],
        env={**os.environ, "PATH": path}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "Connected successfully." in done.stdout
    assert done.stdout.endswith("User deleted successfully.\n")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("finlink status --platform ", PLATFORMS),  # by hand
        ("finlink users list --risk-tolerance ", RISK_TOLERANCES),
        ("finlink users status asha ", USER_STATUSES),
    ],
)
def test_the_shell_completes_words_of_the_contract(line: str, words: tuple[str, ...]) -> None:
    asked = {
        "_FINLINK_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split())),
    }  # fmt: skip
    done = subprocess.run(
        PROGRAM, env={**os.environ, **asked}, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == list(words)
