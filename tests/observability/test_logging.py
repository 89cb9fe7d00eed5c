"""Log lines: readable by machines, and without what must not be in them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from server.observability.logging import cause_of
from tests.stack import ROOT

SECRET = "S3CRET-PASSWORD"

FAILING = f"""
import structlog
from server.observability.logging import cause_of, setup_logging

setup_logging("DEBUG", process="test")
log = structlog.stdlib.get_logger("finlink.test")

def connect(password):
    raise ValueError("refused " + password)

try:
    connect("{SECRET}")
except ValueError as error:
    log.error("unhandled exception", **cause_of(error))
    log.info("absent", nothing=None)
"""


def test_an_exception_is_logged_by_kind_and_place_only() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAILING], cwd=ROOT, capture_output=True, text=True, check=True
    )
    failed, absent = (json.loads(line) for line in done.stdout.splitlines())
    assert failed["event"] == "unhandled exception"
    assert failed["level"] == "error"
    assert failed["process"] == "test"
    assert failed["cause"] == "ValueError"
    assert failed["frames"][-1].endswith("connect")
    assert SECRET not in done.stdout
    assert "nothing" not in absent


def test_a_terminal_shows_no_local_variables() -> None:
    """Pretty tracebacks would print them, requests with credentials included."""
    program = FAILING.replace("**cause_of(error)", "exc_info=error").replace(
        '"refused " + password', '"refused"'
    )
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=theirs)
        os.close(theirs)
        shown = _all_of(terminal.fileno())
        assert process.wait() == 0
    assert "ValueError" in shown
    assert SECRET not in shown


def _all_of(descriptor: int) -> str:
    content = b""
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # Linux tells the end of a terminal so
            return content.decode()
        if not part:
            return content.decode()
        content += part


def test_the_way_of_an_exception_is_told_to_where_it_was_raised() -> None:
    with pytest.raises(FileNotFoundError) as raised:
        (Path("no") / "such" / "file").read_text()
    facts = cause_of(raised.value)
    assert facts["cause"] == "FileNotFoundError"
    assert isinstance(facts["frames"], list)
