"""Programs that the benchmark needs beside what Finlink brings, and how to get them."""

from __future__ import annotations

import shutil

ADVICE = {
    "wrk": "apt-get install wrk",
    "h2load": "apt-get install nghttp2-client",
    "node": "install Node.js 20 or newer (nodejs.org)",
    "npm": "install Node.js 20 or newer with npm (nodejs.org)",
    "go": "install Go 1.26 or newer (go.dev/dl)",
}


class MissingTool(Exception):
    """Programs are missing; the message says what to install."""

    def __init__(self, names: list[str]) -> None:
        told = "; ".join(f"{name}: {ADVICE[name]}" for name in names)
        super().__init__(f"missing {', '.join(names)} ({told})")


def find(name: str) -> str:
    """The path of a program. Raises MissingTool."""
    path = shutil.which(name)
    if path is None:
        raise MissingTool([name])
    return path


def check(*names: str) -> None:
    """Raises MissingTool with all that are missing."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        raise MissingTool(missing)
