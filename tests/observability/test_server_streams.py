"""The server's command line with streams and arguments as shells leave them, and its log at a terminal."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys

import pytest

from server.observability.buffered_stream import BufferedStream
from server.observability.logging import SHOWN, _printable
from tests.stack import ROOT

SERVER = [sys.executable, "-m", "server"]


def shell(line: str, *arguments: str | bytes) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if name != "MONGODB_URI"}
    return subprocess.run(
        ["bash", "-c", line, "bash", *SERVER, *arguments],
        cwd=ROOT, env=environment, capture_output=True, timeout=60, check=False,
    )  # fmt: skip


def test_an_output_that_is_full() -> None:
    done = shell('"$@" >/dev/full', "--help")
    said = b"finlink: the output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.parametrize("closed", [">&-", "<&- >&-", ">&- 2>&-"])
def test_closed_streams(closed: str) -> None:
    done = shell(f'"$@" {closed}', "--help")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_log_whose_disk_is_full_stops_nothing() -> None:
    stream = BufferedStream(Full())
    stream.write("a line\n")
    stream.flush()


def test_an_argument_that_is_no_text() -> None:
    done = shell('"$@"', "health", b"\xff:1")
    assert (done.returncode, done.stderr) == (1, b"finlink: ?:1 is no UTF-8\n")


def test_a_terminal_s_log_shows_joiners_and_nothing_that_steers_it() -> None:
    event = {
        "event": "call",
        "path": "/a\x1b[2J\u202e\x07b",
        "name": "می\u200cخواهم",
        "status": 200,
    }
    assert _printable(None, "info", event) == {
        "event": "call", "path": "/a\ufffd[2J\ufffd\ufffdb", "name": "می\u200cخواهم", "status": 200,
    }  # fmt: skip
    assert not set(SHOWN) & set("\u200e\u200f\u202a\u2066")
