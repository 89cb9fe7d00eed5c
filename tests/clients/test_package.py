"""What callers get: the wheel, the examples and the README."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path

import finlink_client
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.stack import ROOT, Stack

PACKAGE = ROOT / "clients" / "python"
README = (PACKAGE / "README.md").read_text()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built in a copy: nothing is left behind in the folder."""
    folder = tmp_path_factory.mktemp("wheel")
    left_out = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
    shutil.copytree(PACKAGE, folder / "python", ignore=left_out)
    subprocess.run(
        [
            sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
            "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", folder,
            folder / "python",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    [built] = folder.glob("*.whl")
    return built


@pytest.mark.full_only
def test_the_wheel_has_client_and_stubs_with_their_types(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    expected = {
        str(path.relative_to(PACKAGE / "src"))
        for path in (PACKAGE / "src").rglob("*")
        if path.suffix in {".py", ".pyi"} or path.name in {"py.typed", "commands.json"}
    }
    assert {
        "finlink/py.typed",
        "finlink/commands.json",
        "finlink/users/v1/user_service_pb2.py",
        "finlink/users/v1/user_service_pb2.pyi",
        "finlink/users/v1/user_service_pb2_grpc.pyi",
        "finlink/connectors/v1/connector_service_pb2.py",
        "finlink_client/py.typed",
        "finlink_client/aio.py",
    } <= expected
    assert {path for path in held if ".dist-info/" not in path} == expected


@pytest.mark.full_only
def test_the_wheel_works_by_itself(wheel: Path) -> None:
    program = (
        "import finlink_client as c; print(c.__file__, c.connect_blocking('localhost:1').users)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        check=True, capture_output=True, text=True, env={"PYTHONPATH": str(wheel)},
    )  # fmt: skip
    assert done.stdout.startswith(str(wheel))


def test_what_it_requires_is_as_new_as_what_generated_the_stubs() -> None:
    """The stubs refuse to be imported with anything older."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    lowest = {}
    for text in project["dependencies"]:
        requirement = Requirement(text)
        [specifier] = requirement.specifier
        assert specifier.operator == ">="
        lowest[requirement.name] = Version(specifier.version)
    stubs = PACKAGE / "src" / "finlink" / "users" / "v1" / "user_service_pb2.py"
    gencode = re.search(r"# Protobuf Python Version: (\S+)", stubs.read_text())
    assert gencode is not None
    assert lowest["protobuf"] >= Version(gencode[1])
    grpc_stubs = import_module("finlink.users.v1.user_service_pb2_grpc")
    assert lowest["grpcio"] >= Version(grpc_stubs.GRPC_GENERATED_VERSION)


def test_all_that_is_exported_exists() -> None:
    assert len(set(finlink_client.__all__)) == len(finlink_client.__all__)
    for name in finlink_client.__all__:
        assert hasattr(finlink_client, name)


def run(program: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", program, *arguments],
        check=False, capture_output=True, text=True, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.full_only
@pytest.mark.parametrize("name", ["quickstart_async", "quickstart_blocking"])
def test_the_examples_run(name: str, stack: Stack) -> None:
    done = run(PACKAGE / "examples" / f"{name}.py", stack.grpc)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Created user demo_")
    assert lines[-1].startswith("Deleted user demo_")
    for platform in ("fi_money", "zerodha"):
        assert f"Connected to {platform}" in lines
        assert f"Disconnected from {platform}" in lines
    assert done.stdout.count("First sync: success") == 2
    assert sum(line.startswith("    ") for line in lines) == 6


@pytest.mark.full_only
@pytest.mark.parametrize("name", ["quickstart_async", "quickstart_blocking"])
def test_the_examples_say_what_is_wrong(name: str) -> None:
    done = run(PACKAGE / "examples" / f"{name}.py", FINLINK_ADDRESS="localhost:1")
    assert done.returncode == 1
    assert done.stderr.startswith("Unavailable: UNAVAILABLE: ")
    assert "Traceback" not in done.stderr


def test_the_readme_starts_with_ten_lines_that_work() -> None:
    first = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert first is not None
    assert len(first[1].splitlines()) == 10
    assert README.index(first[0]) < README.index("## ")


@pytest.mark.parametrize("number", range(len(re.findall("```python\n", README))))
def test_the_readmes_code_runs(number: int, stack: Stack, tmp_path: Path) -> None:
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[number]
    program = tmp_path / "example.py"
    program.write_text(code.replace("localhost:50051", stack.grpc))
    done = run(program)
    assert (done.returncode, done.stderr) == (0, "")
