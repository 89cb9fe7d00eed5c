"""Log lines: readable by machines, and without what must not be in them."""

from __future__ import annotations

import json
import os
import pty
import re
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
    shown = in_a_terminal(program)
    assert "ValueError" in shown
    assert SECRET not in shown


def test_a_terminal_shows_lines_for_people() -> None:
    """The event first, then what is about it, as `name=value`, a line each."""
    reported = """
from server.observability.logging import request_id, setup_logging
import structlog
setup_logging("INFO", process="worker-0")
request_id.set("r-1")
structlog.stdlib.get_logger("finlink.rpc").info("call", code="OK", duration_ms=1.5)
"""
    (line,) = re.sub(r"\x1b\[[0-9;]*m", "", in_a_terminal(reported)).splitlines()
    assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z \[info +\] call +", line)
    words = line.split()
    assert {"code=OK", "duration_ms=1.5", "process=worker-0", "request_id=r-1"} <= set(words)


LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@pytest.mark.parametrize("level", LEVELS)
def test_the_level_decides_what_is_logged(level: str) -> None:
    script = f"""
import structlog
from server.config import load
from server.observability.logging import setup_logging
setup_logging(load().log_level, process="test")
log = structlog.stdlib.get_logger("finlink.test")
for level in {LEVELS}:
    getattr(log, level.lower())("told")
"""
    environment = {**os.environ, "LOG_LEVEL": level}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )  # fmt: skip
    levels = [json.loads(line)["level"].upper() for line in done.stdout.splitlines()]
    assert levels == list(LEVELS[LEVELS.index(level) :])


def in_a_terminal(program: str) -> str:
    """What it shows there."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=theirs)
        os.close(theirs)
        shown = _all_of(terminal.fileno())
        assert process.wait() == 0
    return shown


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


def test_the_stack_of_an_exception_is_logged_to_where_it_was_raised() -> None:
    with pytest.raises(FileNotFoundError) as raised:
        (Path("no") / "such" / "file").read_text()
    facts = cause_of(raised.value)
    assert facts["cause"] == "FileNotFoundError"
    assert isinstance(facts["frames"], list)
