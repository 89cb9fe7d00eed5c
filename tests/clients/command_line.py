"""The command `finlink`, run by tests: in this process, as a program, and at a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

TIMEOUT = 30.0
PROGRAM = [sys.executable, "-W", "error", "-m", "finlink_cli"]


@dataclass(frozen=True)
class Outcome:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object it said."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The objects it said, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> Any:
        """The error it said, as JSON."""
        return json.loads(self.err)["error"]


@contextmanager
def started(*arguments: str, **streams: Any) -> Iterator[subprocess.Popen[str]]:
    """The program, with pipes unless other streams are given; ended at the end."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    # Without `env` it would get the COLUMNS that readline has set behind Python's back.
    given = {"text": True, "env": {**os.environ}, **pipes, **streams}
    process = subprocess.Popen([*PROGRAM, *arguments], **given)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None and not stream.closed:
                stream.close()


class Terminal:
    """A person's view of a program that runs at a terminal."""

    def __init__(self, process: subprocess.Popen[str], descriptor: int) -> None:
        self.process = process
        self.shown = ""
        self._descriptor = descriptor

    def wait_for(self, text: str) -> None:
        """Look at the screen until `text` is on it."""
        deadline = time.monotonic() + TIMEOUT
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if not self._look():
                raise AssertionError(f"it ended without {text!r}:\n{self.shown}")

    def type_hidden(self, text: str) -> None:
        """Type a line once the terminal does not show what is typed."""
        deadline = time.monotonic() + TIMEOUT
        while termios.tcgetattr(self._descriptor)[3] & termios.ECHO:
            assert time.monotonic() < deadline, self.shown
        self.type(text)

    def type(self, text: str) -> None:
        os.write(self._descriptor, os.fsencode(f"{text}\n"))

    def ended(self) -> int:
        """The exit code, once all is on the screen."""
        while self._look():
            pass
        return self.process.wait(TIMEOUT)

    def _look(self) -> bool:
        try:
            seen = os.read(self._descriptor, 65536)
        except OSError:  # Linux's way to say that the program is gone
            return False
        self.shown += seen.decode().replace("\r\n", "\n")
        return bool(seen)


@contextmanager
def at_terminal(*arguments: str, columns: int = 80) -> Iterator[Terminal]:
    """The program at a terminal."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, columns))
    try:
        streams = {"stdin": its, "stdout": its, "stderr": its, "start_new_session": True}
        with started(*arguments, **streams) as process:
            os.close(its)
            yield Terminal(process, ours)
    finally:
        os.close(ours)
