"""A run of the benchmark: the database and the stacks, up for as long as it lasts."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from rich.console import Console

from bench import data, database, stacks
from bench.agreement import Disagreement
from bench.client import CallFailed
from bench.folders import LOGS
from bench.stacks import Stack, processor_seconds
from bench.tools import MissingTool
from bench.wrk import LoadError
from server.edge.errors import StartError
from server.observability.logging import setup_logging
from server.supervisor.process import ProcessFailedError
from server.supervisor.supervisor import Supervisor

T = TypeVar("T")
_SETTLE_SECONDS = 600.0  # at most
_LOOK_SECONDS = 2.0
_IDLE = 0.25  # of a core: health checks and looking for what is due


class Session:
    """Starts what is asked for; `running` stops all of it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.supervisor = Supervisor()
        self.uri = ""

    def report(self, text: str) -> None:
        self.console.print(f"[dim]{text}[/]", highlight=False)

    async def start_database(self) -> None:
        port = stacks.free_port()
        self.report("starting mongod")
        await self.supervisor.start([database.spec(port)])
        self.uri = database.uri(port)

    async def fill(self, users: int) -> None:
        """Make the data of that size, unless it is there."""
        await asyncio.to_thread(data.ensure, self.uri, users, self.show_progress)

    def show_progress(self, what: str, done: int, total: int) -> None:
        if self.console.is_terminal:
            end = "\n" if done == total else "\r"
            self.console.print(f"[dim]loading {what}: {done:,} of {total:,}[/]", end=end)
        elif done == total or done % 100_000 == 0:
            self.report(f"loading {what}: {done:,} of {total:,}")

    async def start(self, wanted: Sequence[Stack]) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        self.report(f"starting {', '.join(stack.name for stack in wanted)}")
        processes = await self.supervisor.start([stack.spec for stack in wanted])
        for stack, process in zip(wanted, processes, strict=True):
            stack.process = process

    async def settle(self) -> None:
        """Wait until nothing is busy any more: caches fill, counts are brought up, files are written."""
        until = time.monotonic() + _SETTLE_SECONDS
        told = False
        while time.monotonic() < until:
            pids = [process.pid for process in self.supervisor.processes]
            before = [processor_seconds(pid) for pid in pids]
            await asyncio.sleep(_LOOK_SECONDS)
            used = [processor_seconds(pid) - was for pid, was in zip(pids, before, strict=True)]
            if max(used) < _IDLE * _LOOK_SECONDS:
                return
            if not told:
                self.report("waiting until what was started has nothing left to do")
                told = True

    async def stop(self, wanted: Sequence[Stack]) -> None:
        await self.supervisor.stop([stack.process for stack in wanted if stack.process is not None])


@asynccontextmanager
async def running(console: Console) -> AsyncIterator[Session]:
    """A session whose database is up; on leaving, every process it started has ended."""
    session = Session(console)
    try:
        await session.start_database()
        yield session
    finally:
        processes = session.supervisor.processes  # the database is the first
        await session.supervisor.stop(processes[1:])
        await session.supervisor.stop(processes[:1])


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run to the end, to Ctrl-C or to SIGTERM; a failure is one clear line."""
    setup_logging("WARNING", process="bench")

    async def main() -> T:
        task = asyncio.ensure_future(work())

        def stop() -> None:
            # Once: a second signal must not break off the stopping itself.
            if not task.cancelling():
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        return await task

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        sys.exit("bench: stopped")
    except (
        CallFailed,
        Disagreement,
        LoadError,
        MissingTool,
        ProcessFailedError,
        StartError,
    ) as error:
        sys.exit(f"bench: {error}")
