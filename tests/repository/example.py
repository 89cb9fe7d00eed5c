"""The example of a guide for contributors, built in a clone from the blocks of its page.

A block whose first line is a comment with a path is that file; a Markdown block that begins with a title is
the README of the example.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.deploy.guide import blocks
from tests.stack import ROOT

_FILE = re.compile(r"(?:#|//) ([\w./-]+\.\w+)\n(.*)", re.DOTALL)
_PACKAGES = ("server/", "sandbox/")


def files(guide: Path, readme: str) -> Mapping[str, str]:
    """New files by their paths. `readme` is the path of the example's."""
    found = {}
    for block in blocks(guide):
        if file := _FILE.fullmatch(block.text):
            found[file[1]] = file[2]
        elif block.language == "markdown" and block.text.startswith("# "):
            found[readme] = block.text
    return found


def additions(guide: Path, language: str) -> str:
    """The block of a language that is no whole file: what is added to one that exists."""
    (text,) = (
        block.text
        for block in blocks(guide)
        if block.language == language and not _FILE.match(block.text) and block.text[:2] != "# "
    )
    return text


def cloned(to: Path) -> Path:
    """What is committed."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout, or there is no git: nothing to clone")
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(to)], check=True)
    return to


def write(clone: Path, new: Mapping[str, str]) -> None:
    for path, text in new.items():
        folder = (clone / path).parent
        folder.mkdir(parents=True, exist_ok=True)
        if path.startswith(_PACKAGES):
            (folder / "__init__.py").touch()
        (clone / path).write_text(text)


def edit(path: Path, where: str, becomes: str) -> None:
    """Replace the one place that a pattern finds."""
    text, times = re.subn(where, becomes, path.read_text(), count=1, flags=re.DOTALL)
    assert times == 1, path
    path.write_text(text)


def generate(clone: Path) -> None:
    for module in ("codegen.stubs", "openapi", "codegen.stubs"):
        run(clone, "-m", module)


def run(clone: Path, *arguments: str, program: str = sys.executable) -> str:
    """A program in the clone, whose own packages come before those that are installed."""
    path = os.pathsep.join((str(clone / "clients/python/src"), "."))
    done = subprocess.run(
        [program, *arguments],
        cwd=clone, env={**os.environ, "PYTHONPATH": path},
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def run_tests(clone: Path, *arguments: str) -> int:
    """How many passed, which all must."""
    said = run(clone, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments)
    passed = re.search(r"(\d+) passed", said)
    assert passed is not None
    assert "failed" not in said
    return int(passed[1])


def lint(clone: Path, *folders: str) -> None:
    run(clone, "-m", "ruff", "check", "--no-cache", *folders)
    run(clone, "-m", "ruff", "format", "--no-cache", "--check", "--diff", *folders)
    run(clone, "-m", "mypy", "--cache-dir", os.devnull, *folders)
    run(clone, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")
    buf = str(Path(sys.executable).with_name("buf"))
    run(clone, "lint", "gen/finlink.binpb", "--path", "finlink", program=buf)
    run(clone, "format", "--diff", "--exit-code", "protos", program=buf)


def changed(clone: Path) -> tuple[list[str], list[str]]:
    """Existing files that were edited, and what is new."""
    status = subprocess.check_output(["git", "status", "--porcelain"], cwd=clone, text=True)
    edited = [line[3:] for line in status.splitlines() if not line.startswith("??")]
    return edited, [line[3:] for line in status.splitlines() if line.startswith("??")]
