"""Lets a change finish once it has begun, also when its caller goes away."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial

import structlog

from server.observability.logging import cause_of
from server.rpc.call import Context, Handler, current_call
from server.rpc.method import Method

_log = structlog.stdlib.get_logger("finlink.rpc")


class Completion:
    """Middleware that shields changes from cancellation, and knows which are still under way."""

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
                if isinstance(request, _Requests) and not request.have_ended:
                    task.cancel()
                task.add_done_callback(partial(_report_failure, method.path))
                raise

        async def handle_stream(requests: AsyncIterator[bytes], context: Context) -> bytes:
            return await handle(_Requests(requests, context), context)

        return handle_stream if method.takes_stream else handle

    async def drain(self, grace: float) -> None:
        """Wait for the changes under way, at most `grace` seconds."""
        if self._running:
            await asyncio.wait(self._running, timeout=grace)


class _Requests:
    """The messages of a stream, and whether its caller has sent all of them.

    For grpc.aio a caller who goes away looks like one who has sent all, until something is sent to that
    caller. Over REST that would be the status, so there a body shows by itself that it is whole, as
    `multipart/form-data` does.
    """

    def __init__(self, messages: AsyncIterator[bytes], context: Context) -> None:
        self._messages = messages
        self._context = context
        self.have_ended = False

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        async for message in self._messages:
            yield message
        if not current_call().is_rest:
            await self._context.send_initial_metadata(())
        self.have_ended = True


def _report_failure(method: str, task: asyncio.Task[bytes]) -> None:
    """Nobody waits for the reply any more, so the log is the place to say that there is none."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("change failed after its caller had gone", method=method, **cause_of(error))
