"""One slice of load on a REST port, with wrk."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bench import tools
from bench.folders import BENCH

_SCRIPT = BENCH / "load" / "wrk.lua"
_MARK = "SLICE "


Order = Literal["drawn", "sweep"]


class LoadError(Exception):
    """A load generator did not give a result."""


@dataclass
class Slice:
    """The results of one contestant in one turn."""

    requests: int
    seconds: float
    failed: int
    latency_ms: dict[str, float]  # by percentile: "50", "99", …
    writes: int = 0
    stale: int = 0  # reads after an acknowledged write that did not see it
    # Of processor time per reply: the contestant with all its processes, and mongod.
    cpu_us: float = 0.0
    mongod_us: float = 0.0

    @property
    def rate(self) -> float:
        """Replies a second."""
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def p50(self) -> float:
        return self.latency_ms["50"]

    @property
    def p99(self) -> float:
        return self.latency_ms["99"]

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "rate": round(self.rate, 1)}


@dataclass(frozen=True)
class Load:
    """The requests that wrk sends."""

    case: str  # a path of wrk.lua
    users: int
    hot: int
    clients: int = 32
    seconds: float = 3.0
    order: Order = "drawn"  # or one hot user after the other
    headers: tuple[str, ...] = ()  # as `name: value`


async def run(port: int, load: Load, seed: int) -> Slice:
    """Send the load for its seconds. Raises LoadError."""
    argv = [
        tools.find("wrk"), "--threads", "1", "--connections", str(load.clients),
        "--duration", f"{round(load.seconds)}s", "--timeout", "10s", "--script", str(_SCRIPT),
        *(text for header in load.headers for text in ("--header", header)),
        f"http://127.0.0.1:{port}", "--", load.case, str(load.users), str(load.hot), str(seed), load.order,
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return parse(output.decode(errors="replace"))


def parse(output: str) -> Slice:
    """The slice in wrk's output. Raises LoadError where there is none."""
    lines = [line for line in output.splitlines() if line.startswith(_MARK)]
    if not lines:
        raise LoadError(f"wrk gave no result:\n{output.strip()}")
    found = json.loads(lines[-1].removeprefix(_MARK))
    return Slice(
        requests=found["requests"],
        seconds=found["duration_us"] / 1e6,
        failed=found["failed"],
        latency_ms={share: micro / 1000 for share, micro in found["latency_us"].items()},
    )
