"""The processes of a topology: each can be killed, stopped in order, and started again where it was."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from server.supervisor.process import WITH_PARENT
from tests.stack import ROOT

# Never reached unless something is broken. A mongod that died with a write that no other member has
# rolls it back when it returns, for which 6.0 was seen to take 80 seconds; the others serve meanwhile.
TIMEOUT_SECONDS = 300.0


@dataclass
class Node:
    """One process, or none while it is down. `kind` is what others can do its work."""

    kind: str
    name: str
    argv: Sequence[str | Path]
    env: Mapping[str, str]
    log: Path
    ready: Callable[[Node], Awaitable[bool]]
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    def start(self) -> None:
        self.starts += 1
        with self.log.open("ab") as output:
            with_parent = (sys.executable, "-I", "-S", WITH_PARENT, str(os.getpid()))
            self.process = subprocess.Popen(
                [*with_parent, *self.argv],
                cwd=ROOT, env={**os.environ, **self.env}, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    async def until_ready(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while not await self.ready(self):
                    assert self._running.poll() is None, self._reported("ended by itself")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(self._reported("is not ready in time")) from None

    def kill(self) -> None:
        """`kill -9` of it and of what it has started."""
        process = psutil.Process(self._running.pid)
        for each in (*process.children(recursive=True), process):
            each.kill()
        self._running.wait()

    async def stop(self) -> None:
        """SIGTERM, and what follows; it must end well."""
        self._running.terminate()
        code = await asyncio.to_thread(self._running.wait, TIMEOUT_SECONDS)
        assert code == 0, self._reported(f"ended with {code}")

    def end(self) -> None:
        """For the end of a test: however it is."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None
        return self.process

    def _reported(self, what: str) -> str:
        last = self.log.read_text(errors="replace").splitlines()[-20:]
        return "\n".join([f"{self.name} {what}:", *last])
