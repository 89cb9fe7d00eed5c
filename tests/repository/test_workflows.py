"""What GitHub and git read: of the right form, and of what the project has."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.stack import ROOT

BIN = Path(sysconfig.get_path("scripts"))
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(
    set((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")) - {GITHUB / "ISSUE_TEMPLATE/config.yml"}
)
HOOKS = ROOT / ".pre-commit-config.yaml"


def content(path: Path) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load(path.read_text())
    return loaded


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("vendor.github-issue-forms", FORMS),
        ("vendor.github-issue-config", [GITHUB / "ISSUE_TEMPLATE/config.yml"]),
    ],
)
def test_github_understands(schema: str, files: list[Path]) -> None:
    assert files
    done = subprocess.run(
        [BIN / "check-jsonschema", "--builtin-schema", schema, *files],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def test_a_workflow_may_only_read_and_uses_what_is_pinned(workflow: Path) -> None:
    assert content(workflow)["permissions"] == {"contents": "read"}
    steps = [step for job in content(workflow)["jobs"].values() for step in job["steps"]]
    for step in steps:
        if action := step.get("uses"):
            assert re.fullmatch(r"actions/[a-z-]+@v\d+\.\d+\.\d+", action)
    assert {"run": "bash .ci/run"} in steps


def test_it_runs_the_oldest_python_that_serves() -> None:
    versions = content(GITHUB / "workflows" / "ci.yml")["jobs"]["check"]["strategy"]["matrix"][
        "python"
    ]
    project = (ROOT / "pyproject.toml").read_text()
    assert f'requires-python = ">={versions[0]}"' in project


def test_git_checks_with_the_project_s_own_tools() -> None:
    done = subprocess.run(
        [BIN / "pre-commit", "validate-config", HOOKS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (repository,) = content(HOOKS)["repos"]
    assert repository["repo"] == "local"
    hooks = {hook["id"]: hook for hook in repository["hooks"]}
    assert {hook["language"] for hook in hooks.values()} == {"system", "fail", "pygrep"}
    refused = re.compile(hooks["nothing-generated"]["files"])
    for name in ("gen/finlink.binpb", "clients/python/src/finlink/users/v1/user_pb2.py",
                 "console/dist/index.html", "clients/typescript/node_modules/x/y.js"):  # fmt: skip
        assert refused.search(name), name
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert [name for name in listed.stdout.splitlines() if refused.search(name)] == []
