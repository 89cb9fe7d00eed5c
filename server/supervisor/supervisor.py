"""Several supervised processes, and the first of them that failed for good."""

import asyncio
from collections.abc import Callable, Sequence

from server.supervisor.process import ProcessSpec, SupervisedProcess, race


class Supervisor:
    def __init__(self, on_change: Callable[[], object] = lambda: None) -> None:
        self.processes: list[SupervisedProcess] = []
        self.hurry = asyncio.Event()
        self._on_change = on_change
        self._ended = asyncio.Event()

    async def start(self, specs: Sequence[ProcessSpec]) -> list[SupervisedProcess]:
        """Start them side by side. Returns when all are ready, raises ProcessFailedError."""
        processes = [SupervisedProcess(spec, self.hurry, self._on_change) for spec in specs]
        self.processes += processes
        for process in processes:
            process.launch().add_done_callback(lambda _: self._ended.set())
        await race(asyncio.gather(*(each.until_ready() for each in processes)), self.watch())
        return processes

    async def watch(self) -> None:
        """Wait for a process that fails for good, and raise its ProcessFailedError."""
        await self._ended.wait()
        for process in self.processes:
            if process.task is not None and process.task.done():
                process.task.result()

    async def stop(self, processes: Sequence[SupervisedProcess]) -> None:
        """Stop these side by side. Returns when all of them have ended."""
        await asyncio.gather(*(process.stop() for process in processes))
