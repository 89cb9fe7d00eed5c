"""The example of a login on Zerodha's own page, in each language, with a user who goes there."""

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
    example = ROOT / "clients" / "python" / "examples" / "zerodha_login.py"
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
    shutil.copy(TYPESCRIPT / "examples" / "zerodha_login.ts", folder)
    compiler = TYPESCRIPT / "node_modules" / ".bin" / "tsc"
    done = subprocess.run(
        [compiler, "--project", "."], cwd=folder, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    return ["node", str(folder / "zerodha_login.js")]


def go(folder: Path) -> list[str]:
    _wants("go")
    program = folder / "zerodha_login"
    subprocess.run(["go", "build", "-o", program, "./examples/zerodha_login"], cwd=GO, check=True)
    return [str(program)]


def _wants(language: str) -> None:
    if not LANGUAGES[language].is_current():
        pytest.skip(f"the {language} client is not made of the contract as it is: make clients")


@pytest.mark.parametrize(
    "made", [python, *(pytest.param(f, marks=pytest.mark.full_only) for f in (typescript, go))]
)
async def test_a_user_logs_in_on_the_platforms_page(
    made: Callable[[Path], list[str]],
    stack: Stack,
    rest: httpx.AsyncClient,
    new_id: str,
    tmp_path: Path,
) -> None:
    await rest.post("/users", json={"userId": new_id, "email": f"{new_id}@example.com"})
    program = await asyncio.create_subprocess_exec(
        *made(tmp_path), new_id, env={**os.environ, "FINLINK_ADDRESS": stack.grpc},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert program.stdout is not None
    try:
        async with asyncio.timeout(TIMEOUT):
            told = (await program.stdout.readline()).decode()
            assert told.startswith("Log in at ")
            page = told.removeprefix("Log in at ").strip()
            token = await step.request_token(page, step.new_login())
            led_to = f"http://127.0.0.1/callback?request_token={token}&status=success\n"
            said, _ = await program.communicate(led_to.encode())
    finally:
        if program.returncode is None:
            program.kill()
    assert program.returncode == 0
    first, *holdings = said.decode().splitlines()
    assert first == "Connected"
    (connector,) = (await step.of_user(rest, new_id))["connectors"]
    listed = await rest.get(f"/connectors/{connector['id']}/records?dataType=portfolio&limit=100")
    assert len(holdings) == len(listed.json()["data"]["records"]) > 0
    assert all(" units, " in each for each in holdings)
