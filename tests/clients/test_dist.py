"""The packages that `make dist` makes, installed as a product would. Run by `make test-clients`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from codegen import dist
from codegen.clients import GO_MODULE, LANGUAGES


@pytest.mark.full_only
def test_a_go_module_is_taken_from_the_proxys_files(tmp_path: Path) -> None:
    if not LANGUAGES["go"].is_current():
        pytest.skip("the go client is not made of the contract as it is: make clients")
    packed = dist.go(tmp_path / "proxy")
    version = packed.stem
    caller = tmp_path / "caller"
    caller.mkdir()
    before = subprocess.check_output(["go", "env", "GOPROXY"], text=True).strip()
    environment = {
        **os.environ, "GOPROXY": f"file://{tmp_path / 'proxy'},{before}", "GONOSUMDB": GO_MODULE,
        "GOFLAGS": "-mod=mod -modcacherw", "GOMODCACHE": str(tmp_path / "cache"),
    }  # fmt: skip
    (caller / "main.go").write_text(
        f'package main\n\nimport (\n\t"fmt"\n\n\t"{GO_MODULE}/finlink"\n)\n\n'
        'func main() {\n\tclient, err := finlink.Connect("")\n\tfmt.Println(client != nil, err)\n}\n'
    )
    for command in (
        ["go", "mod", "init", "example.com/caller"],
        ["go", "mod", "edit", "-go=1.24"],
        ["go", "get", f"{GO_MODULE}@{version}"],
        ["go", "run", "."],
    ):
        done = subprocess.run(
            command, cwd=caller, env=environment, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout == "true <nil>\n"
    assert re.search(
        rf"^\s*(require )?{GO_MODULE} {version}", (caller / "go.mod").read_text(), re.MULTILINE
    )


@pytest.mark.parametrize("name", ["rich", "typer"])
def test_without_its_extra_the_command_line_says_what_is_missing(name: str) -> None:
    program = f"import sys; sys.modules[{name!r}] = None; from finlink_cli.program import program; program()"
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == f"finlink: {name} is missing: pip install 'finlink-client[cli]'\n"
