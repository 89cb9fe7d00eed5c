"""Watching connectors for as long as wanted, over as many streams as it takes."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import grpc
from finlink.connectors.v1.watch_pb2 import WatchConnectorsRequest, WatchConnectorsResponse

from finlink_client import policy
from finlink_client.errors import Cancelled, FinlinkError, Unavailable
from finlink_client.failures import from_stream_error

PAUSES = policy.RULES.watch_pauses
FIRST_PAUSE = policy.seconds(PAUSES.first)
LONGEST_PAUSE = policy.seconds(PAUSES.longest)


class Position:
    """Where a watch stands: what to ask for next, and how long to wait before it.

    `renews`: of an error, whether the next token helps.
    """

    def __init__(
        self,
        request: WatchConnectorsRequest | None,
        renews: Callable[[FinlinkError], bool] = lambda _: False,
    ) -> None:
        self._renews = renews
        self._renewed = False  # since the last event
        self.expired = False  # the last token, so that the next stream needs another
        self.request = WatchConnectorsRequest()
        if request is not None:
            self.request.CopyFrom(request)
        self._begun = False
        self._failures = 0

    def take(self, event: WatchConnectorsResponse) -> None:
        """Go on after this event, should the stream end."""
        self.request.resume_token = event.resume_token
        self._begun = True
        self._failures = 0
        self._renewed = self.expired = False

    def pause(self, error: FinlinkError) -> float:
        """The seconds to wait before watching again. Raises `error` where that would not help.

        A watch that has begun is taken up again for as long as it takes, one that has not is not: there
        may be nobody at the address.
        """
        if self._renews(error) and not self._renewed:
            self._renewed = self.expired = True
            return 0
        self.expired = False
        if not isinstance(error, Unavailable) or not self._begun:
            raise error
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * PAUSES.factor**self._failures)
        self._failures = min(self._failures + 1, 10)
        return random.uniform(longest / 2, longest)  # noqa: S311 - so that not all come at once


def closed() -> Cancelled:
    """The error of a watch whose client was closed."""
    return Cancelled("CANCELLED", "The client was closed", grpc_code=grpc.StatusCode.CANCELLED)


async def watch(
    call: Callable[
        [WatchConnectorsRequest, bool],
        Awaitable[grpc.aio.UnaryStreamCall[WatchConnectorsRequest, WatchConnectorsResponse]],
    ],
    position: Position,
) -> AsyncIterator[WatchConnectorsResponse]:
    """Every event, each once. `call` takes whether the last token has expired."""
    while True:
        stream = None
        try:
            stream = await call(position.request, position.expired)
            async for event in stream:
                position.take(event)
                yield event
            return
        except FinlinkError as error:  # of the next token
            pause = position.pause(error)
        except grpc.aio.AioRpcError as error:
            pause = position.pause(from_stream_error(error))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():  # by the caller
                raise
            raise closed() from None
        finally:
            if stream is not None:
                stream.cancel()
        await asyncio.sleep(pause)


def watch_blocking(
    call: Callable[[WatchConnectorsRequest, bool], Any], position: Position
) -> Iterator[WatchConnectorsResponse]:
    """Every event, each once. `call` takes whether the last token has expired."""
    while True:
        stream = None
        try:
            stream = call(position.request, position.expired)
            for event in stream:
                position.take(event)
                yield event
            return
        except FinlinkError as error:  # of the next token
            pause = position.pause(error)
        except grpc.RpcError as error:
            pause = position.pause(from_stream_error(error))
        finally:
            if stream is not None:
                stream.cancel()
        time.sleep(pause)
