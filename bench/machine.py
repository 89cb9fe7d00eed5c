"""The machine that the figures were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import psutil

_VERSIONS = (
    ("node", ("node", "--version")),
    ("go", ("go", "version")),
    ("wrk", ("wrk", "--version")),
    ("h2load", ("h2load", "--version")),
)


def describe() -> dict[str, str]:
    found = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    for name, command in _VERSIONS:
        words = _first_line(command)
        if words:
            found[name] = words.removeprefix("go version ").split(" Copyright")[0]
    return found


def busy() -> float:
    """Per cent of all cores that are in use, over a second."""
    return psutil.cpu_percent(1.0)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _first_line(command: tuple[str, ...]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return (done.stdout or done.stderr).strip().partition("\n")[0]
