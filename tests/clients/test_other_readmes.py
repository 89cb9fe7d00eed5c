"""What callers in other languages get: the packed package, and READMEs whose code compiles and runs.

Skipped where the client is not made (`make clients`); run by `make test-clients`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from codegen.clients import GO, LANGUAGES, TYPESCRIPT
from tests.stack import Stack

TS_README = (TYPESCRIPT / "README.md").read_text()
TS_CODE = re.findall(r"```ts\n(.*?)```", TS_README, re.DOTALL)
GO_README = (GO / "README.md").read_text()
GO_BLOCKS = re.findall(r"```go\n(.*?)```", GO_README, re.DOTALL)
GO_CODE = [block for block in GO_BLOCKS if not block.startswith("import (")]
[GO_IMPORTS] = [block for block in GO_BLOCKS if block.startswith("import (")]


@pytest.fixture(scope="module")
def _all(full: bool) -> None:
    if not full:
        pytest.skip("READMEs of other clients are pasted by make test-clients")


@pytest.fixture(scope="module")
def project(_all: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A caller's folder with the packed TypeScript package installed, beside what that depends on."""
    if not LANGUAGES["typescript"].is_current():
        pytest.skip("the typescript client is not made: make clients")
    folder = tmp_path_factory.mktemp("caller")
    [reported] = json.loads(
        run(["npm", "pack", "--json", f"--pack-destination={folder}"], TYPESCRIPT)
    )
    shutil.unpack_archive(folder / reported["filename"], folder, "gztar")
    modules = folder / "node_modules"
    (modules / "@finlink").mkdir(parents=True)
    (folder / "package").rename(modules / "@finlink" / "client")
    for name in ("@bufbuild", "@connectrpc", "@types"):
        (modules / name).symlink_to(TYPESCRIPT / "node_modules" / name)
    (folder / "package.json").write_text('{"type": "module"}')
    options = {"strict": True, "target": "es2022", "module": "nodenext", "types": ["node"]}
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options}))
    return folder


@pytest.fixture(scope="module")
def module(_all: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A caller's Go module, which requires the client's as the README says."""
    if not LANGUAGES["go"].is_current():
        pytest.skip("the go client is not made: make clients")
    folder = tmp_path_factory.mktemp("caller")
    run(["go", "mod", "init", "example.com/caller"], folder)
    edits = re.findall(r"^    (go mod edit .*)$", GO_README, re.MULTILINE)
    assert len(edits) == 2
    for edit in edits:
        run(edit.replace("/path/to/finlink/clients/go", str(GO)).split(), folder)
    return folder


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_packed_package_has_what_it_needs_and_no_tests(project: Path) -> None:
    package = project / "node_modules" / "@finlink" / "client"
    held = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert {"package.json", "README.md", "build/src/index.js", "build/src/index.d.ts"} <= held
    assert "build/src/gen/finlink/users/v1/user_pb.d.ts" in held
    assert not any("test" in name for name in held)


@pytest.mark.parametrize("number", range(len(TS_CODE)))
def test_the_typescript_readmes_code_runs(number: int, project: Path, stack: Stack) -> None:
    program = project / f"readme_{number}.ts"
    program.write_text(TS_CODE[number].replace("localhost:50051", stack.grpc))
    compiler = TYPESCRIPT / "node_modules" / ".bin" / "tsc"
    run([str(compiler), "--project", "."], project)
    run(["node", program.with_suffix(".js").name], project)


@pytest.mark.parametrize("number", range(len(GO_CODE)))
def test_the_go_readmes_code_runs(number: int, module: Path, stack: Stack) -> None:
    code = GO_CODE[number].replace("localhost:50051", stack.grpc)
    lines = [line for line in GO_IMPORTS.splitlines() if is_used(line, code)]
    program = module / f"readme_{number}" / "main.go"
    program.parent.mkdir()
    program.write_text(
        "package main\n\n" + "\n".join(lines) + "\n\nfunc run(ctx context.Context) error {\n"
        + textwrap.indent(code, "\t") + "\treturn nil\n}\n\n"
        "func main() {\n\tif err := run(context.Background()); err != nil {\n\t\tpanic(err)\n\t}\n}\n"
    )  # fmt: skip
    run(["go", "run", "-mod=mod", f"./{program.parent.name}"], module)


def is_used(line: str, code: str) -> bool:
    """Whether an import's line is needed: all but those of packages that `code` does not name."""
    quoted = re.fullmatch(r'\t(?:(\w+) )?"(?:.*/)?(\w+)"', line)
    if quoted is None:
        return True
    name = quoted[1] or quoted[2]
    return name == "context" or re.search(rf"\b{name}\.", code) is not None


def test_each_readme_starts_with_ten_lines() -> None:
    for readme, first in ((TS_README, TS_CODE[0]), (GO_README, GO_CODE[0])):
        assert len(first.splitlines()) == 10
        assert readme.index(first) < readme.index("## ")
