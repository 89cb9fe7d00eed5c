"""One supervised process: started, watched, started again if it crashes, stopped.

All of that happens in one task (`_keep_running`), and nothing else touches the process: `stop` and `hurry`
are events that the task waits for.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from server.supervisor.restarts import MAX_CRASHES, WINDOW, Restarts

_log = structlog.stdlib.get_logger("finlink.supervisor")

WITH_PARENT = Path(__file__).with_name("parent_death_signal.py")
TAIL_LINES = 15
LINE_LENGTH = 400


class ProcessFailedError(Exception):
    """A process will not be started again. The message has its name, the reason and its last lines."""


@dataclass(frozen=True)
class ProcessSpec:
    """How a process is started, when it is ready, and how it is stopped."""

    name: str
    argv: tuple[str, ...]  # no secrets: any user of the machine can read command lines
    env: Mapping[str, str]
    ready: Callable[[], Awaitable[None]]  # returns when it is ready
    ready_timeout: float
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout: float = 10.0  # seconds between that and SIGKILL
    ignores_hurry: bool = False  # a second Ctrl-C does not shorten stop_timeout
    log: Path | None = None  # of stderr; if there is none, it is the supervisor's own
    log_stdout: bool = False  # the log has stdout as well
    reasons: Callable[[Sequence[str]], Sequence[str]] = (
        list  # the log's lines that say why it ended
    )
    before_start: Callable[[], object] | None = None
    after_end: Callable[[int], object] | None = None  # is given the pid


@dataclass(frozen=True)
class Ending:
    reason: str
    ready_for: float  # seconds; 0 if it was never ready
    refused: bool  # it exited by itself, or never became ready


class SupervisedProcess:
    def __init__(
        self,
        spec: ProcessSpec,
        hurry: asyncio.Event,
        on_change: Callable[[], object] = lambda: None,
    ) -> None:
        self.spec = spec
        self.pid: int | None = None
        self.is_ready = False
        self._on_change = on_change
        self._hurry = hurry
        self._stop = asyncio.Event()
        self._first_ready = asyncio.Event()
        self._restarts = Restarts()
        self._log_start = 0  # where the lines of the current process begin in the log
        self.task: asyncio.Task[None] | None = None

    def launch(self) -> asyncio.Task[None]:
        """Begin. The task fails with ProcessFailedError if the process will not be started again."""
        self.task = asyncio.create_task(self._keep_running(), name=self.spec.name)
        return self.task

    async def until_ready(self) -> None:
        await self._first_ready.wait()

    async def stop(self) -> None:
        """Send its signal, then SIGKILL if it takes too long. Returns when the process has ended."""
        self._stop.set()
        if self.task is not None:
            # Errors are for `watch`; this only waits for the end.
            await asyncio.gather(self.task, return_exceptions=True)

    async def _keep_running(self) -> None:
        while True:
            ending = await self._run_once()
            if self._stop.is_set():
                return
            if ending.refused and not self._first_ready.is_set():
                # A second start would fail in the same way.
                raise self._failed(f"{self.spec.name} did not start: {ending.reason}.")
            delay = self._restarts.delay_after_crash(time.monotonic(), ending.ready_for)
            if delay is None:
                raise self._failed(
                    f"{self.spec.name} ended {MAX_CRASHES} times within {WINDOW:.0f} s, "
                    f"most recently with {ending.reason}."
                )
            _log.warning(
                f"{self.spec.name} ended with {ending.reason}; restarting it in {delay:g} s",
                name=self.spec.name,
            )
            await race(self._stop.wait(), asyncio.sleep(delay))
            if self._stop.is_set():
                return

    async def _run_once(self) -> Ending:
        process = await self._spawn()
        ready_at: float | None = None
        try:
            self._changed(pid=process.pid, ready=False)
            winner = await race(process.wait(), self._stop.wait(), self._ready_in_time())
            if winner == 2:
                if not self.is_ready:
                    process.kill()
                    await process.wait()
                    late = f"not ready within {self.spec.ready_timeout:g} s"
                    return Ending(late, ready_for=0, refused=True)
                ready_at = time.monotonic()
                if self._first_ready.is_set():
                    _log.info(f"{self.spec.name} is ready again", name=self.spec.name)
                self._first_ready.set()
                self._changed(pid=process.pid, ready=True)
                winner = await race(process.wait(), self._stop.wait())
            if winner == 1:
                await self._end(process)
        finally:
            if process.returncode is None:  # this task was cancelled
                process.kill()
            self._changed(pid=None, ready=False)
        code = await process.wait()
        if self.spec.after_end is not None:
            self.spec.after_end(process.pid)
        ready_for = 0.0 if ready_at is None else time.monotonic() - ready_at
        return Ending(_describe(code), ready_for, refused=code >= 0)

    async def _spawn(self) -> asyncio.subprocess.Process:
        if self.spec.before_start is not None:
            self.spec.before_start()
        argv = [sys.executable, "-I", "-S", str(WITH_PARENT), str(os.getpid()), *self.spec.argv]
        output = self._open_log()
        try:
            # In a group of its own, so that Ctrl-C in the terminal reaches the supervisor alone, which then
            # stops all in order. Not in a session of its own: Linux weighs a thread's priority within its
            # session only, and password hashes must give way to all processes of Finlink.
            return await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output if self.spec.log_stdout else None,
                stderr=output,
                env=dict(self.spec.env),
                process_group=0,
            )
        finally:
            if output is not None:
                os.close(output)

    def _open_log(self) -> int | None:
        if self.spec.log is None:
            return None
        file = os.open(self.spec.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._log_start = os.fstat(file).st_size
        return file

    async def _ready_in_time(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.spec.ready_timeout):
                await self.spec.ready()
                self.is_ready = True

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Send its signal, and SIGKILL after the timeout or, unless it ignores that, the second Ctrl-C."""
        with suppress(ProcessLookupError):
            process.send_signal(self.spec.stop_signal)
        waits: list[Awaitable[object]] = [process.wait(), asyncio.sleep(self.spec.stop_timeout)]
        if not self.spec.ignores_hurry:
            waits.append(self._hurry.wait())
        if await race(*waits) != 0:
            if not self._hurry.is_set() or self.spec.ignores_hurry:
                _log.warning(
                    f"{self.spec.name} did not end within {self.spec.stop_timeout:g} s; killing it",
                    name=self.spec.name,
                )
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _changed(self, *, pid: int | None, ready: bool) -> None:
        self.pid, self.is_ready = pid, ready
        self._on_change()

    def _failed(self, reason: str) -> ProcessFailedError:
        """With the last lines of its log."""
        if self.spec.log is None:
            return ProcessFailedError(f"{reason} See its output above.")
        lines = last_part(self.spec.log, self._log_start).splitlines()
        lines = [line[:LINE_LENGTH] for line in [*self.spec.reasons(lines)][-TAIL_LINES:]]
        if not lines:
            return ProcessFailedError(f"{reason} It wrote nothing to {self.spec.log}.")
        return ProcessFailedError("\n".join([f"{reason} From {self.spec.log}:", *lines]))


def last_part(path: Path, start: int, limit: int = 256 * 1024) -> str:
    """The file from `start` on, at most its last `limit` bytes."""
    try:
        with path.open("rb") as file:
            file.seek(max(start, path.stat().st_size - limit))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


async def race(*runners: Awaitable[object]) -> int:
    """Return the index of the first to finish, the lowest if several have. Cancels the others."""
    tasks = [asyncio.ensure_future(runner) for runner in runners]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        winner = next(index for index, task in enumerate(tasks) if task.done())
        tasks[winner].result()
        return winner
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _describe(code: int) -> str:
    """An exit code in words; negative ones are signals."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
