"""The example of a user's money, in each language, against a running Finlink."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from codegen.clients import GO, LANGUAGES, TYPESCRIPT
from tests.e2e import connector_steps as step
from tests.stack import ROOT, Stack

TIMEOUT = 60.0


def python(_: Path) -> list[str]:
    example = ROOT / "clients" / "python" / "examples" / "money.py"
    return [sys.executable, "-W", "error", str(example)]


def typescript(folder: Path) -> list[str]:
    _wants("typescript")
    modules = folder / "node_modules"
    (modules / "@finlink").mkdir(parents=True)
    (modules / "@finlink" / "client").symlink_to(TYPESCRIPT)
    (modules / "@types").symlink_to(TYPESCRIPT / "node_modules" / "@types")
    (folder / "package.json").write_text('{"type": "module"}')
    options = {"strict": True, "target": "es2022", "module": "nodenext", "types": ["node"]}
    options |= {"lib": ["es2023", "esnext.disposable", "dom"]}
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options}))
    shutil.copy(TYPESCRIPT / "examples" / "money.ts", folder)
    compiler = TYPESCRIPT / "node_modules" / ".bin" / "tsc"
    done = subprocess.run(
        [compiler, "--project", "."], cwd=folder, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    return ["node", str(folder / "money.js")]


def go(folder: Path) -> list[str]:
    _wants("go")
    program = folder / "money"
    subprocess.run(["go", "build", "-o", program, "./examples/money"], cwd=GO, check=True)
    return [str(program)]


def _wants(language: str) -> None:
    if not LANGUAGES[language].is_current():
        pytest.skip(f"the {language} client is not made of the contract as it is: make clients")


@pytest.mark.parametrize(
    "made", [python, *(pytest.param(f, marks=pytest.mark.full_only) for f in (typescript, go))]
)
async def test_an_expense_is_recorded_and_listed(
    made: Callable[[Path], list[str]],
    stack: Stack,
    rest: httpx.AsyncClient,
    new_id: str,
    tmp_path: Path,
) -> None:
    await step.create_user(rest, new_id)
    program = await asyncio.create_subprocess_exec(
        *made(tmp_path), new_id, env={**os.environ, "FINLINK_ADDRESS": stack.grpc},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(TIMEOUT):
            said, _ = await program.communicate()
    finally:
        if program.returncode is None:
            program.kill()
    assert program.returncode == 0
    (line,) = said.decode().splitlines()
    assert "expense of 450.00 INR, Swiggy, " in line
    assert "no category" not in line
    await rest.delete(f"/users/{new_id}")
