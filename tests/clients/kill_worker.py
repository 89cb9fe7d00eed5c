"""Kills a worker for tests that are not Python: `python -m tests.clients.kill_worker DATA_DIR WORKER`.

It ends once another one serves in its place.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.load import kill


@dataclass(frozen=True)
class OtherProcess:
    """A Finlink that another process has started."""

    data_dir: Path

    @property
    def ports(self) -> Mapping[str, int]:
        return {"ADMIN_PORT": self.status()["ports"]["admin"]}

    def status(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.data_dir / "run.json").read_text())
        return content


if __name__ == "__main__":
    asyncio.run(kill(OtherProcess(Path(sys.argv[1])), sys.argv[2]))
