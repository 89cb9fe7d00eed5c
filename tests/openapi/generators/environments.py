"""Where generators of clients are: each in an environment of its own under .data/generators.

What an environment has is pinned in the generator's folder beside this file, with hashes. It is made where it
is missing or something else is pinned now.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from codegen.clients import UNREACHABLE
from tests.stack import ROOT

HERE = Path(__file__).parent
PLACE = ROOT / ".data" / "generators"

JAR = "org.openapitools:openapi-generator-cli:7.25.0"
JAR_SHA256 = "41ce4f6b07f196676439d710759fa1ced7a08066d06ff1bf314681470289efae"
_OF_PIP = ("Temporary failure in name resolution", "Failed to establish a new connection")
_OF_MAVEN = ("Unknown host", "Connect to ", "Network is unreachable")


def venv(name: str) -> Path:
    """The programs of a virtual environment."""
    wanted = HERE / name / "requirements.txt"
    folder = PLACE / name / "venv"
    if not _is_made_of(folder, wanted):
        run(sys.executable, "-m", "venv", str(folder), cwd=ROOT)
        _fetch(
            str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check",
            "--require-hashes", "-r", str(wanted), folder=folder,
        )  # fmt: skip
        _keep(folder, wanted)
    return folder / "bin"


def node_modules(name: str, here: Path = HERE) -> Path:
    needs("node", "npm")
    wanted = here / name / "package-lock.json"
    folder = PLACE / name / "npm"
    if not _is_made_of(folder, wanted):
        folder.mkdir(parents=True)
        for file in (wanted, wanted.with_name("package.json")):
            shutil.copy(file, folder)
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        _fetch("npm", "ci", *options, folder=folder)
        _keep(folder, wanted)
    return folder / "node_modules"


def jar() -> Path:
    """OpenAPI Generator's, for Java."""
    needs("java", "mvn")
    name, version = JAR.split(":")[1:]
    folder = PLACE / "openapi_generator" / "jar"
    file = folder / f"{name}-{version}.jar"
    if not file.exists() or _sha256(file) != JAR_SHA256:
        folder.mkdir(parents=True, exist_ok=True)
        options = ("-Dartifact=" + JAR, f"-DoutputDirectory={folder}")
        _fetch("mvn", "--batch-mode", "--quiet", "dependency:copy", *options, folder=folder)
        assert _sha256(file) == JAR_SHA256, f"{file} is not what is pinned"
    return file


def needs(*programs: str) -> None:
    """Skip the test where one is missing."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def run(*command: str, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """What it prints; a command that fails is shown whole."""
    done = _ended(*command, cwd=cwd, env=env)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def _fetch(*command: str, folder: Path) -> None:
    """Skips the test where what the command needs cannot be reached."""
    done = _ended(*command, cwd=folder)
    said = done.stdout + done.stderr
    if done.returncode != 0 and any(each in said for each in (*UNREACHABLE, *_OF_PIP, *_OF_MAVEN)):
        pytest.skip(f"{command[0]} cannot reach its registry: {said.strip().splitlines()[-1]}")
    assert done.returncode == 0, f"{' '.join(command)}\n{said}"


def _ended(
    *command: str, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **(env or {})},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _is_made_of(folder: Path, wanted: Path) -> bool:
    """Whether it is; if not, it is removed."""
    stamp = folder / "stamp"
    if stamp.exists() and stamp.read_text() == _sha256(wanted):
        return True
    shutil.rmtree(folder, ignore_errors=True)
    return False


def _keep(folder: Path, wanted: Path) -> None:
    (folder / "stamp").write_text(_sha256(wanted))
