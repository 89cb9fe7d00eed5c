"""Lets a change finish once it has begun, also when its caller goes away."""

from __future__ import annotations

import asyncio

from google.protobuf.message import Message

from server.rpc.call import Context, Handler
from server.rpc.method import Method


class Completion:
    """A step that shields changes from cancellation, and knows which are still under way."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Message]] = set()

    def __call__(self, method: Method, inner: Handler) -> Handler:
        if not method.changes_state:
            return inner

        async def handle(request: object, context: Context) -> Message:
            task = asyncio.ensure_future(inner(request, context))
            self._running.add(task)
            task.add_done_callback(self._finished)
            return await asyncio.shield(task)

        return handle

    def _finished(self, task: asyncio.Task[Message]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen here: its caller may be gone

    async def drain(self) -> None:
        """Wait for the changes under way."""
        await asyncio.gather(*self._running, return_exceptions=True)
