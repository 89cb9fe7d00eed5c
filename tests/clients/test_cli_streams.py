"""The command line as shells may start it: streams closed or full, other locales, bytes that are no text."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.clients.command_line import PROGRAM, TIMEOUT, at_terminal
from tests.clients.scripted import Script
from tests.clients.test_cli_tables import USER, reply

FAULT = b"has a fault"


def shell(
    line: str, *arguments: str | bytes, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """`"$@"` is the command line with its arguments; output that is not redirected is captured."""
    return subprocess.run(
        ["bash", "-c", line, "bash", *PROGRAM, *arguments],
        env={**os.environ, **environment}, capture_output=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("redirected", [">/dev/full", ">/dev/full 2>/dev/full"])
def test_an_output_that_is_full(script: Script, bare: Path, redirected: str) -> None:
    done = shell(f'"$@" {redirected}', "users", "list", "--all", "--address", script.address)
    assert done.returncode == 1
    said = b"finlink: the output cannot be written: No space left on device.\n"
    assert done.stderr == (b"" if "2>" in redirected else said)


@pytest.mark.parametrize("options", ["", "--json", "--jq ."])
def test_a_reader_that_has_gone(script: Script, bare: Path, options: str) -> None:
    line = f'set -o pipefail; "$@" {options} | true'
    page = {"data": {"users": [{**USER, "userId": f"u{each}"} for each in range(100)]}}
    script.replies["ListUsers"].extend([reply("ListUsers", page)] * 2)
    done = shell(line, "users", "list", "--all", "--address", script.address)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.full_only
def test_help_to_an_output_that_is_full(bare: Path) -> None:
    done = shell('"$@" >/dev/full', "--help")
    assert (done.returncode, b"No space left" in done.stderr) == (1, True)


def test_an_error_to_an_output_that_is_full_keeps_its_exit_code(bare: Path) -> None:
    assert shell('"$@" 2>/dev/full', "users", "show", "--json").returncode == 2


@pytest.mark.parametrize(
    ("closed", "arguments", "code"),
    [
        (">&- 2>&- <&-", ("users", "show", "asha"), 0),
        ("<&-", ("users", "delete", "asha"), 2),
        ("<&-", ("connectors", "connect", "asha", "zerodha", "--credentials-stdin"), 2),
        ("<&-", ("users", "create", "--body", "-"), 2),
    ],
)
def test_closed_streams(
    script: Script, bare: Path, closed: str, arguments: tuple[str, ...], code: int
) -> None:
    """They are as /dev/null; no connection takes their place."""
    done = shell(f'"$@" {closed}', *arguments, "--address", script.address)
    assert (done.returncode, done.stdout) == (code, b"")
    assert FAULT not in done.stderr


def test_bytes_that_are_no_text(bare: Path) -> None:
    done = shell('"$@"', "users", "show", "asha", "--api-key", b"hush\xff", FINLINK_ADDRESS="x:1")
    assert done.returncode == 2
    assert done.stderr.startswith(b"finlink: --api-key: what was given is no UTF-8")
    assert b"hush" not in done.stderr


def test_a_password_that_is_no_text(script: Script, bare: Path) -> None:
    arguments = ("connectors", "connect", "asha", "zerodha", "--address", script.address)
    with at_terminal(*arguments) as terminal:
        terminal.wait_for("User id")
        terminal.type("QX4821")
        terminal.wait_for("Password: ")
        terminal.type_hidden("hush\udcff")
        assert terminal.ended() == 2
        assert "Password: what was typed is not in the terminal's encoding" in terminal.shown
        assert "hush" not in terminal.shown
    assert script.received == []


@pytest.mark.full_only
def test_another_locale(script: Script, bare: Path) -> None:
    """The output has what its encoding has; files are UTF-8 all the same."""
    latin = {
        "PYTHONUTF8": "0",
        "PYTHONIOENCODING": "latin-1",
        "LC_ALL": "C",
        "PYTHONCOERCECLOCALE": "0",
    }
    bare.parent.mkdir()
    bare.write_text(f'address = "{script.address}"  # \N{INDIAN RUPEE SIGN}', encoding="utf-8")
    done = shell('"$@"', "trends", "--help", **latin)
    assert (done.returncode, done.stderr) == (0, b"")
    done = shell('"$@"', "users", "list", **latin)
    assert FAULT not in done.stderr
    assert script.calls("ListUsers") == 1
