"""Installs the peers into the data folder, each with its own package manager from what it has locked.

Nothing happens where that has not changed since.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import grpc_tools

from bench import tools
from bench.folders import DATA, PEERS

_INSTALLED = "installed"


def express() -> None:
    """Raises MissingTool."""
    tools.check("node", "npm")
    source, folder = PEERS / "express", DATA / "express"
    _copy(source, folder)
    lock = source / "package-lock.json"
    if not _same(folder, lock):
        command = ["npm", "ci", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"]
        _call(*command, folder=folder)
        _keep(folder, lock)


def fastapi() -> None:
    """A virtual environment of its own."""
    wanted, folder = PEERS / "fastapi" / "requirements.txt", DATA / "fastapi"
    if not _same(folder, wanted):
        _call(sys.executable, "-m", "venv", str(folder))
        pip = (str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check")
        _call(*pip, "--require-hashes", "-r", str(wanted))
        _keep(folder, wanted)


def grpc_go() -> None:
    """Raises MissingTool."""
    tools.check("go")
    source, folder = PEERS / "grpc_go", DATA / "grpc_go"
    _copy(source, folder)
    parts = [source / name for name in ("go.sum", "main.go", "users.proto")]
    if not _same(folder, *parts):
        protobuf, stubs = "google.golang.org/protobuf/cmd", "google.golang.org/grpc/cmd"
        (folder / "bin").mkdir(exist_ok=True)
        plugins = (f"{protobuf}/protoc-gen-go", f"{stubs}/protoc-gen-go-grpc")
        _call("go", "build", "-o", "bin/", *plugins, folder=folder)
        _call(
            sys.executable, "-m", "grpc_tools.protoc", "-I.",
            f"-I{Path(grpc_tools.__file__).parent / '_proto'}",
            "--plugin=protoc-gen-go=bin/protoc-gen-go",
            "--plugin=protoc-gen-go-grpc=bin/protoc-gen-go-grpc",
            "--go_out=.", "--go_opt=module=finlink/bench",
            "--go-grpc_out=.", "--go-grpc_opt=module=finlink/bench", "users.proto",
            folder=folder,
        )  # fmt: skip
        _call("go", "build", "-o", "bin/server", ".", folder=folder)
        _keep(folder, *parts)


def _copy(source: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.is_file():
            shutil.copy(file, folder)


def _same(folder: Path, *parts: Path) -> bool:
    kept = folder / _INSTALLED
    return kept.exists() and kept.read_bytes() == b"".join(part.read_bytes() for part in parts)


def _keep(folder: Path, *parts: Path) -> None:
    (folder / _INSTALLED).write_bytes(b"".join(part.read_bytes() for part in parts))


def _call(*words: str, folder: Path | None = None) -> None:
    subprocess.run(words, cwd=folder, check=True)
