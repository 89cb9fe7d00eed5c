"""The export of a user, its failures as FinlinkError."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import grpc
from finlink.exports.v1.export_service_pb2 import ExportUserRequest, ExportUserResponse

from finlink_client.errors import FinlinkError
from finlink_client.failures import from_stream_error
from finlink_client.watching import closed


def _never(_: FinlinkError) -> bool:
    return False


async def export(
    call: Callable[
        [bool], Awaitable[grpc.aio.UnaryStreamCall[ExportUserRequest, ExportUserResponse]]
    ],
    renews: Callable[[FinlinkError], bool] = _never,
) -> AsyncIterator[ExportUserResponse]:
    """Every item of one export, which begins again if only its token had expired."""
    expired = begun = False
    while True:
        stream = await call(expired)
        try:
            async for piece in stream:
                begun = True
                yield piece
            return
        except grpc.aio.AioRpcError as error:
            failure = from_stream_error(error)
            if begun or expired or not renews(failure):
                raise failure from error
            expired = True
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():  # by the caller
                raise
            raise closed() from None
        finally:
            stream.cancel()


def export_blocking(
    call: Callable[[bool], Any], renews: Callable[[FinlinkError], bool] = _never
) -> Iterator[Any]:
    """Every item of one export, which begins again if only its token had expired."""
    expired = begun = False
    while True:
        stream = call(expired)
        try:
            for piece in stream:
                begun = True
                yield piece
            return
        except grpc.RpcError as error:
            failure = from_stream_error(error)
            if begun or expired or not renews(failure):
                raise failure from error
            expired = True
        finally:
            stream.cancel()
