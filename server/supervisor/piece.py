"""One supervised process: started, waited for, watched, started again when it dies, stopped.

All of that happens in one task (`_keep`), so that nobody else ever touches the process: `stop` and
`hurry` are events the task looks at.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from server.edge.errors import PieceFailedError
from server.supervisor.restarts import DEATHS, WINDOW, Restarts

_log = structlog.stdlib.get_logger("finlink.supervisor")

LEASH = Path(__file__).with_name("leash.py")
TAIL_LINES = 15
LINE_LENGTH = 400


@dataclass(frozen=True)
class Spec:
    """What a piece is."""

    name: str
    argv: tuple[str, ...]  # no secrets: any user of the machine can read command lines
    env: Mapping[str, str]
    ready: Callable[[], Awaitable[None]]  # returns when the piece is ready
    ready_within: float
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within: float = 10.0  # seconds between that and SIGKILL
    patient: bool = False  # a second Ctrl-C does not shorten stop_within
    log: Path | None = None  # gets stderr; without it the supervisor's own is used
    log_stdout: bool = False  # the log gets stdout as well
    telling: Callable[[Sequence[str]], Sequence[str]] = list  # the log's lines that give a reason
    before_start: Callable[[], object] | None = None
    after_end: Callable[[int], object] | None = None  # is told the pid


@dataclass(frozen=True)
class Ending:
    reason: str
    ready_for: float  # seconds the piece had been ready; 0 when it never was
    refused: bool  # it ended itself, or never became ready: not a crash


class Piece:
    """A process that is kept running until `stop`."""

    def __init__(
        self, spec: Spec, hurry: asyncio.Event, on_change: Callable[[], object] = lambda: None
    ) -> None:
        self.spec = spec
        self.pid: int | None = None
        self.is_ready = False
        self._on_change = on_change
        self._hurry = hurry
        self._stop = asyncio.Event()
        self._first_ready = asyncio.Event()
        self._restarts = Restarts()
        self._log_start = 0  # where this life's lines begin in the log
        self.task: asyncio.Task[None] | None = None

    def launch(self) -> asyncio.Task[None]:
        """Begin. The task fails with PieceFailedError when the piece will not be started again."""
        self.task = asyncio.create_task(self._keep(), name=self.spec.name)
        return self.task

    async def until_ready(self) -> None:
        await self._first_ready.wait()

    async def stop(self) -> None:
        """Its signal, then SIGKILL when it takes too long; returns when the process is gone."""
        self._stop.set()
        if self.task is not None:
            # How it ended is the watcher's affair; here it only has to have ended.
            await asyncio.gather(self.task, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            ending = await self._live()
            if self._stop.is_set():
                return
            if ending.refused and not self._first_ready.is_set():
                # What it refuses at the first start it will refuse at the next.
                raise PieceFailedError(
                    self._told(f"{self.spec.name} did not start: {ending.reason}.")
                )
            delay = self._restarts.delay_after_death(time.monotonic(), ending.ready_for)
            if delay is None:
                raise PieceFailedError(
                    self._told(
                        f"{self.spec.name} ended {DEATHS} times within {WINDOW:.0f} s, "
                        f"the last time with: {ending.reason}."
                    )
                )
            _log.warning(
                f"{self.spec.name} ended: {ending.reason}; starting it again in {delay:g} s",
                piece=self.spec.name,
            )
            await race(self._stop.wait(), asyncio.sleep(delay))
            if self._stop.is_set():
                return

    async def _live(self) -> Ending:
        """One life of the process, from start to end."""
        process = await self._spawn()
        ready_at: float | None = None
        try:
            self._changed(pid=process.pid, ready=False)
            winner = await race(process.wait(), self._stop.wait(), self._ready_in_time())
            if winner == 2:
                if not self.is_ready:
                    process.kill()
                    await process.wait()
                    late = f"not ready within {self.spec.ready_within:g} s"
                    return Ending(late, ready_for=0, refused=True)
                ready_at = time.monotonic()
                if self._first_ready.is_set():
                    _log.info(f"{self.spec.name} is ready again", piece=self.spec.name)
                self._first_ready.set()
                self._changed(pid=process.pid, ready=True)
                winner = await race(process.wait(), self._stop.wait())
            if winner == 1:
                await self._end(process)
        finally:
            if process.returncode is None:  # only when this task itself was cancelled
                process.kill()
            self._changed(pid=None, ready=False)
        code = await process.wait()
        if self.spec.after_end is not None:
            self.spec.after_end(process.pid)
        ready_for = 0.0 if ready_at is None else time.monotonic() - ready_at
        return Ending(_in_words(code), ready_for, refused=code >= 0)

    async def _spawn(self) -> asyncio.subprocess.Process:
        if self.spec.before_start is not None:
            self.spec.before_start()
        argv = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), *self.spec.argv]
        output = self._open_log()
        try:
            # A session of its own: Ctrl-C in the terminal must reach the supervisor alone, which
            # then stops the pieces in order.
            return await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output if self.spec.log_stdout else None,
                stderr=output,
                env=dict(self.spec.env),
                start_new_session=True,
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
            async with asyncio.timeout(self.spec.ready_within):
                await self.spec.ready()
                self.is_ready = True

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Its signal, and SIGKILL after the grace or, for an impatient piece, at the second Ctrl-C."""
        with suppress(ProcessLookupError):
            process.send_signal(self.spec.stop_signal)
        waits: list[Coroutine[Any, Any, object]] = [
            process.wait(),
            asyncio.sleep(self.spec.stop_within),
        ]
        if not self.spec.patient:
            waits.append(self._hurry.wait())
        if await race(*waits) != 0:
            if not self._hurry.is_set() or self.spec.patient:
                _log.warning(
                    f"{self.spec.name} did not end within {self.spec.stop_within:g} s; killing it",
                    piece=self.spec.name,
                )
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _changed(self, *, pid: int | None, ready: bool) -> None:
        self.pid, self.is_ready = pid, ready
        self._on_change()

    def _told(self, reason: str) -> str:
        """The reason with the last lines of the piece's log."""
        if self.spec.log is None:
            return f"{reason} What it said is above."
        lines = last_part(self.spec.log, self._log_start).splitlines()
        lines = [line[:LINE_LENGTH] for line in [*self.spec.telling(lines)][-TAIL_LINES:]]
        if not lines:
            return f"{reason} It said nothing in {self.spec.log}."
        return "\n".join([f"{reason} From {self.spec.log}:", *lines])


def last_part(path: Path, start: int, limit: int = 256 * 1024) -> str:
    """What was written to the file since `start`, no more than the last `limit` bytes of it."""
    try:
        with path.open("rb") as file:
            file.seek(max(start, path.stat().st_size - limit))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


async def race(*runners: Coroutine[Any, Any, object]) -> int:
    """The place of the first to finish, the earlier one if several have. Cancels the rest."""
    tasks = [asyncio.ensure_future(runner) for runner in runners]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        winner = next(place for place, task in enumerate(tasks) if task.done())
        tasks[winner].result()
        return winner
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _in_words(code: int) -> str:
    """An exit code for people: negative ones are signals."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
