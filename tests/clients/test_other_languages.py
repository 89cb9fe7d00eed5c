"""The clients of other languages: their own tests against a running Finlink, and their linters.

They are skipped where they are not made (`make clients`). `make test-clients` runs all of it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from finlink_client import policy

from codegen.clients import LANGUAGES, tool
from tests.stack import ROOT, Stack, running

_STATICCHECK = "staticcheck"
LINTERS = {
    "typescript": [["npm", "run", "lint"]],
    "go": [["gofmt", "-d", "."], ["go", "vet", "./..."], [_STATICCHECK, "./..."]],
}
TESTS = {"typescript": ["npm", "test"], "go": ["go", "test", "-count=1", "-v", "./..."]}


@pytest.fixture(params=sorted(LANGUAGES))
def language(request: pytest.FixtureRequest) -> str:
    """One whose client is made."""
    name = str(request.param)
    if not LANGUAGES[name].is_current():
        pytest.skip(f"the {name} client is not made of the contract as it is: make clients")
    return name


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Finlink of its own, whose workers may be killed."""
    with running(tmp_path_factory.mktemp("victim")) as started:
        yield started


def run(language: str, command: list[str], environment: Mapping[str, str]) -> str:
    """What it prints; a command that fails is shown whole."""
    done = subprocess.run(
        command, cwd=LANGUAGES[language].folder, env={**os.environ, **environment},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"{shlex.join(command)}:\n{said}"
    return said


def rules(path: Path) -> Path:
    """A file of what the Python client makes of the contract's options, for the others to compare."""
    table = {
        name.removeprefix("/"): {
            "read": policy.is_read(method),
            "retried": policy.is_retried(method),
            "waitsForPlatform": policy.waits_for_platform(method),
            "public": policy.is_public(method),
        }
        for name, method in policy.METHODS.items()
    }
    path.write_text(json.dumps(table))
    return path


@pytest.mark.full_only
def test_its_scenarios(language: str, site: Stack, tmp_path: Path) -> None:
    killing = [sys.executable, "-m", "tests.clients.kill_worker", str(site.data_dir)]
    environment = {
        "FINLINK_TEST_ADDRESS": site.grpc,
        "FINLINK_TEST_KILL": f"cd {shlex.quote(str(ROOT))} && {shlex.join(killing)}",
        "FINLINK_TEST_RULES": str(rules(tmp_path / "rules.json")),
    }
    said = run(language, TESTS[language], environment)
    assert re.search("skip(?!ped 0)", said, re.IGNORECASE) is None, said


@pytest.mark.full_only
def test_its_linters(language: str) -> None:
    for command in LINTERS[language]:
        program, *arguments = command
        if program == _STATICCHECK:
            program = tool(_STATICCHECK)
        said = run(language, [program, *arguments], {})
        assert program == "npm" or said == "", said


@pytest.mark.parametrize(("option", "code"), [([], 1), (["--where-possible"], 0)])
def test_missing_files_are_reported(option: list[str], code: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "codegen.clients", *option], cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path)}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.splitlines() == [
        "clients: typescript is left out. `node` is missing: install Node.js 20 or newer (nodejs.org)",
        "clients: go is left out. `go` is missing: install Go 1.26 or newer (go.dev/dl)",
    ]
