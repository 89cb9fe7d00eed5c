"""The caller's end of a call: waiting on it stops when the caller leaves or the sandbox stops."""

import asyncio

from starlette.types import Receive


class CallerLeftError(Exception):
    """The caller has left and gets no reply."""


class ClientConnection:
    """`receive` must have given the whole body: what comes next is that the caller leaves."""

    def __init__(self, receive: Receive, stopping: asyncio.Event) -> None:
        self._receive = receive
        self._stopping = stopping

    async def until_left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def wait(self, event: asyncio.Event) -> None:
        """Until the event, or until the sandbox stops."""
        left = asyncio.create_task(self.until_left())
        tasks = [left, *(asyncio.create_task(each.wait()) for each in (event, self._stopping))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            gone = left.done()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if gone:
            raise CallerLeftError

    async def sleep(self, seconds: float) -> None:
        over = asyncio.Event()
        timer = asyncio.get_running_loop().call_later(seconds, over.set)
        try:
            await self.wait(over)
        finally:
            timer.cancel()
