"""Reads of the same moment become one query, since a query costs the same for one key as for ten.

A query is sent after all who share it have asked, so nobody is given what was read before. Reads inside
transactions do not belong here: they see what is theirs alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

BATCH = 100  # keys of one query
AT_ONCE = 1
MAX_WAIT_SECONDS = 0.01
# Between two queries where the first was for several keys: many are reading, and sending a query costs
# as much as all else that is done for a read.
SPACING = 0.006


class DataLoader(Generic[K, V]):
    """Reads by key through `read`, which gives what it finds of the keys it gets."""

    def __init__(self, read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._read = read
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._sending: asyncio.Handle | None = None  # when it is `_waiting`'s turn
        self._not_before = 0.0  # the next query, as the event loop has the time

    async def load(self, key: K) -> V | None:
        """The value under a key, None for nothing. Raises what `read` raises."""
        future: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(future)
        if self._sending is None:
            self._schedule()
        return await future

    def _schedule(self) -> None:
        loop, nobody = asyncio.get_running_loop(), Context()
        if len(self._under_way) >= AT_ONCE:
            self._sending = loop.call_later(MAX_WAIT_SECONDS, self._send, context=nobody)
        elif (wait := self._not_before - loop.time()) > 0:
            self._sending = loop.call_later(wait, self._send, context=nobody)
        else:
            self._sending = loop.call_soon(self._send, context=nobody)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if self._sending is not None:
            self._sending.cancel()
            self._schedule()

    def _send(self) -> None:
        self._sending = None
        waiting, self._waiting = self._waiting, {}
        # Callers that have gone meanwhile, as with a deadline, are not read for.
        keys = [key for key, futures in waiting.items() if not all(f.done() for f in futures)]
        if len(keys) > 1:
            self._not_before = asyncio.get_running_loop().time() + SPACING
        for first in range(0, len(keys), BATCH):
            batch = {key: waiting[key] for key in keys[first : first + BATCH]}
            task = asyncio.get_running_loop().create_task(self._load(batch))
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    async def _load(self, batch: Mapping[K, list[asyncio.Future[V | None]]]) -> None:
        try:
            found = await self._read(list(batch))
        except BaseException as error:
            for future in _open(batch):
                if isinstance(error, Exception):
                    future.set_exception(error)
                else:
                    future.cancel()
            if not isinstance(error, Exception):
                raise
        else:
            for key, futures in batch.items():
                for future in futures:
                    if not future.done():
                        future.set_result(found.get(key))


def _open(batch: Mapping[K, list[asyncio.Future[V]]]) -> list[asyncio.Future[V]]:
    return [future for futures in batch.values() for future in futures if not future.done()]
