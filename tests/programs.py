"""Programs of others that tests run where they can be had."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

GRPCURL = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4"


def grpcurl(config: pytest.Config) -> Path | None:
    """From PATH, or built once where Go is, and kept; None where it cannot be had."""
    if there := shutil.which("grpcurl"):
        return Path(there)
    go = shutil.which("go")
    if go is None or config.cache is None:
        return None
    folder = config.cache.mkdir(f"grpcurl-{GRPCURL.partition('@')[2]}")
    built = folder / "grpcurl"
    if not built.exists():
        environment = {**os.environ, "GOBIN": str(folder), "GOFLAGS": "-mod=mod"}
        done = subprocess.run(
            [go, "install", GRPCURL],
            env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        if done.returncode != 0:
            return None
    return built
