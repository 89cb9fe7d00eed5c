"""docs/contributing/platform.md, followed in a clone: the example platform of the page passes the tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.figures import Figures
from tests.deploy.guide import blocks
from tests.stack import ROOT

pytestmark = pytest.mark.full_only

GUIDE = ROOT / "docs" / "contributing" / "platform.md"
MOST_EDITED = 3
PROTO = "protos/finlink/connectors/v1/connector.proto"


def files() -> dict[str, str]:
    """What the guide has of new files, by their paths."""
    found = {}
    for block in blocks(GUIDE):
        if block.language == "python":
            first, _, rest = block.text.partition("\n")
            found[first.removeprefix("# ")] = rest
        elif block.language == "markdown" and block.text.startswith("# "):
            found["server/platforms/paisa/README.md"] = block.text
    return found


def follow(clone: Path) -> None:
    for path, text in files().items():
        folder = (clone / path).parent
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
        (clone / path).write_text(text)
    (word,) = (block.text for block in blocks(GUIDE) if block.language == "proto")
    (line,) = (block.text for block in blocks(GUIDE) if block.text.startswith("- Paisa"))
    edit(clone / PROTO, r"(enum Platform \{.*?)(\n\})", rf"\1\n{word.rstrip()}\2")
    edit(clone / "CHANGELOG.md", r"(\*\*Connectors\*\*\n\n)", rf"\1{line}")


def edit(path: Path, where: str, becomes: str) -> None:
    text, times = re.subn(where, becomes, path.read_text(), count=1, flags=re.DOTALL)
    assert times == 1, path
    path.write_text(text)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is committed, with the example built, and the contract's files generated anew."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout, or there is no git: nothing to clone")
    folder = tmp_path_factory.mktemp("guide") / "finlink"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    follow(folder)
    for module in ("codegen.stubs", "openapi", "codegen.stubs"):
        run(folder, "-m", module)
    return folder


def run(folder: Path, *arguments: str) -> str:
    """Python in the clone: its own packages come before those that are installed."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder / "clients/python/src"), "."))}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_it_edits_three_existing_files(clone: Path) -> None:
    status = subprocess.check_output(["git", "status", "--porcelain"], cwd=clone, text=True)
    edited = [line[3:] for line in status.splitlines() if not line.startswith("??")]
    made = [line[3:] for line in status.splitlines() if line.startswith("??")]
    figures = Figures("A platform, by docs/contributing/platform.md")
    figures.show("existing files edited", ", ".join(edited))
    figures.show("lines of code", sum(len(text.splitlines()) for text in files().values()))
    assert made == ["sandbox/platforms/paisa/", "server/platforms/paisa/"]
    assert PROTO in edited
    assert len(edited) <= MOST_EDITED


def test_it_passes_the_suite_of_every_platform(clone: Path) -> None:
    tests = ("conformance", "manifest", "registry")
    said = run(
        clone, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "paisa or every_platform",
        *(f"tests/platforms/test_{name}.py" for name in tests),
    )  # fmt: skip
    passed = re.search(r"(\d+) passed", said)
    assert passed is not None
    assert int(passed[1]) >= 30
    assert "failed" not in said


def test_the_contract_and_the_linters_have_nothing_against_it(clone: Path) -> None:
    run(clone, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract")
    folders = ("server/platforms/paisa", "sandbox/platforms/paisa")
    run(clone, "-m", "ruff", "check", "--no-cache", *folders)
    run(clone, "-m", "ruff", "format", "--no-cache", "--check", "--diff", *folders)
    run(clone, "-m", "mypy", "--cache-dir", os.devnull, *folders)
    run(clone, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")
