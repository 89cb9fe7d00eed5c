"""Lets a change finish once it has begun, also when its caller goes away."""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from server.observability.logging import cause_of
from server.rpc.call import Context, Handler
from server.rpc.method import Method

_log = structlog.stdlib.get_logger("finlink.rpc")


class Completion:
    """A step that shields changes from cancellation, and knows which are still under way."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[bytes]] = set()

    def __call__(self, method: Method, inner: Handler) -> Handler:
        if not method.changes_state:
            return inner

        async def handle(request: object, context: Context) -> bytes:
            task = asyncio.ensure_future(inner(request, context))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                task.add_done_callback(partial(_tell_of_failure, method.path))
                raise

        return handle

    async def drain(self, patience: float) -> None:
        """Wait for the changes under way, at most `patience` seconds."""
        if self._running:
            await asyncio.wait(self._running, timeout=patience)


def _tell_of_failure(method: str, task: asyncio.Task[bytes]) -> None:
    """Nobody waits for the answer any more, so the log is the place to say that there is none."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("change failed after its caller had gone", method=method, **cause_of(error))
