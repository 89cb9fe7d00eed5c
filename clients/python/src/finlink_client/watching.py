"""Watching connectors for as long as wanted, over as many streams as it takes."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
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
    """Where a watch stands: what to ask for next, and how long to wait before it."""

    def __init__(self, request: WatchConnectorsRequest | None) -> None:
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

    def pause(self, error: FinlinkError) -> float:
        """The seconds to wait before watching again. Raises `error` where that would not help.

        A watch that has begun is taken up again for as long as it takes, one that has not is not: there
        may be nobody at the address.
        """
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
        [WatchConnectorsRequest],
        grpc.aio.UnaryStreamCall[WatchConnectorsRequest, WatchConnectorsResponse],
    ],
    request: WatchConnectorsRequest | None,
) -> AsyncIterator[WatchConnectorsResponse]:
    """Every event, each once."""
    position = Position(request)
    while True:
        stream = call(position.request)
        try:
            async for event in stream:
                position.take(event)
                yield event
            return
        except grpc.aio.AioRpcError as error:
            pause = position.pause(from_stream_error(error))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():  # by the caller
                raise
            raise closed() from None
        finally:
            stream.cancel()
        await asyncio.sleep(pause)


def watch_blocking(
    call: Callable[[WatchConnectorsRequest], Any],
    request: WatchConnectorsRequest | None,
) -> Iterator[WatchConnectorsResponse]:
    """Every event, each once."""
    position = Position(request)
    while True:
        stream = call(position.request)
        try:
            for event in stream:
                position.take(event)
                yield event
            return
        except grpc.RpcError as error:
            pause = position.pause(from_stream_error(error))
        finally:
            stream.cancel()
        time.sleep(pause)
