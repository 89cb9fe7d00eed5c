"""One slice of load on a gRPC port, with h2load.

h2load sends one body, so each of several h2loads asks for a user of its own, drawn from the hot set.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from random import Random

from bench import tools
from bench.data import hot_ids
from bench.stats import percentile
from bench.wrk import Load, LoadError, Slice

_PROCESSES = 8
_SHARES = (1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9)


def framed(user_id: str) -> bytes:
    """A request whose first field is a user's id, as gRPC sends it."""
    name = user_id.encode()
    message = b"\x0a" + bytes([len(name)]) + name
    return b"\x00" + len(message).to_bytes(4, "big") + message


async def run(port: int, method: str, load: Load, seed: int) -> Slice:
    """Call `method`, as `/package.Service/Method`, for the load's seconds. Raises LoadError."""
    program = tools.find("h2load")
    draw = Random(seed)  # noqa: S311 - no secret
    ids = hot_ids(load.users)
    with tempfile.TemporaryDirectory() as scratch:
        folder, running = Path(scratch), []
        try:
            for number in range(_PROCESSES):
                rank = int(len(ids) ** draw.random()) - 1
                (folder / f"{number}.body").write_bytes(framed(ids[rank]))
                running.append(
                    await asyncio.create_subprocess_exec(
                        program, "--duration", str(round(load.seconds)), "--clients", "1",
                        "--max-concurrent-streams", str(max(1, load.clients // _PROCESSES)),
                        "--header", "content-type: application/grpc", "--header", "te: trailers",
                        "--data", str(folder / f"{number}.body"),
                        "--log-file", str(folder / f"{number}.log"),
                        f"http://127.0.0.1:{port}{method}",
                        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
                    )
                )  # fmt: skip
            await asyncio.gather(*(process.wait() for process in running))
        finally:
            for process in running:
                if process.returncode is None:
                    process.kill()
        lines = _lines(folder)
    return parse(lines, load.seconds)


def _lines(folder: Path) -> list[str]:
    return [line for log in folder.glob("*.log") for line in log.read_text().splitlines()]


def parse(lines: list[str], seconds: float) -> Slice:
    """A slice from h2load's log: when, status and microseconds of each call. Raises LoadError."""
    rows = [line.split("\t") for line in lines]
    taken = [int(row[2]) / 1000 for row in rows if row[1] == "200"]
    if not taken:
        raise LoadError("h2load got no reply")
    latency = {f"{share:g}": percentile(taken, share) for share in _SHARES}
    return Slice(len(taken), seconds, len(rows) - len(taken), latency)
