"""The console's own linters, types and tests, where Node and what it needs are installed."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.stack import ROOT

CONSOLE = ROOT / "console"


@pytest.mark.full_only
@pytest.mark.parametrize("script", ["lint", "test"])
def test_it_passes(script: str) -> None:
    npm = shutil.which("npm")
    if npm is None or not (CONSOLE / "node_modules").is_dir():
        pytest.skip("what builds the console is not installed: make console")
    done = subprocess.run(
        [npm, "run", script], cwd=CONSOLE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
