"""Input, output and arguments as a shell may give them: closed, full, or in another encoding."""

from __future__ import annotations

import errno
import json
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import typer

from finlink_cli.failures import wrong_usage

_UNWRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE, errno.EBADF}
_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def make_usable() -> None:
    """Open the standard streams that are closed: else a connection could take the place of one."""
    for descriptor, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may not know the rupee sign


def discard(stream: Any) -> None:
    """Have no more written to a stream that takes nothing: what it still holds is lost."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def is_unwritten(error: OSError) -> bool:
    """Whether an output is at fault. Rich raises one without a number."""
    return isinstance(error, BrokenPipeError) or error.errno in _UNWRITTEN


def is_text(value: object) -> bool:
    """Whether Python could decode what the shell gave."""
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return False
    return True


def read(path: str) -> bytes:
    """A file, or the input for `-`. Raises OSError."""
    return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()


def text(content: bytes) -> str:
    """The text in a file, which is UTF-8 in every locale. Raises ValueError."""
    return content.decode("utf-8-sig")


def json_object(content: bytes) -> dict[str, Any] | None:
    """The one object in JSON; None if it is anything else."""
    try:
        found = json.loads(text(content))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def ask(question: str, **how: Any) -> str:
    """A person's reply. Raises Failure."""
    try:
        reply = str(typer.prompt(question, err=True, **how))
    except UnicodeDecodeError:
        reply = "\udcff"
    if not is_text(reply):
        raise wrong_usage(f"{question}: what was typed is not in the terminal's encoding")
    return reply
