"""`python -m server COMMAND` in this process: a program of its own takes a second or two to begin.

`tests/observability/test_server_streams.py` and others run the program itself.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout

import pytest
import typer.main

from server.__main__ import app
from tests.stack import ROOT

PROGRAM = "python -m server"


def ran(
    *arguments: str, env: Mapping[str, str], clean: bool = False
) -> subprocess.CompletedProcess[str]:
    """What the command did, with these variables beside those of this process; `clean`: with these alone."""
    whole = dict(env) if clean else {**os.environ, **env}
    # A command begins an event loop of its own, and says who acts: both are a thread's.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_run, arguments, whole).result()


def program(*arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What the program itself did, which could go on for ever if it did not refuse to start."""
    return subprocess.run(
        [sys.executable, "-m", "server", *arguments], cwd=ROOT, env={**os.environ, **env},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def _run(arguments: tuple[str, ...], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    out, err = io.StringIO(), io.StringIO()
    code: object = None
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in os.environ.keys() - env.keys():
            patch.delenv(name)
        for name, value in env.items():
            patch.setenv(name, value)
        try:
            typer.main.get_command(app).main(list(arguments), prog_name=PROGRAM)
        except SystemExit as end:
            code = end.code
        if isinstance(code, str):  # as Python itself does
            print(code, file=err)
    status = code if isinstance(code, int) else int(code is not None)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())
