"""The export of a user, its failures as FinlinkError."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
from finlink.exports.v1.export_service_pb2 import ExportUserRequest, ExportUserResponse

from finlink_client.failures import from_stream_error
from finlink_client.watching import closed


async def export(
    call: Callable[[], grpc.aio.UnaryStreamCall[ExportUserRequest, ExportUserResponse]],
) -> AsyncIterator[ExportUserResponse]:
    """Every item of one export."""
    stream = call()
    try:
        async for piece in stream:
            yield piece
    except grpc.aio.AioRpcError as error:
        raise from_stream_error(error) from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():  # by the caller
            raise
        raise closed() from None
    finally:
        stream.cancel()


def export_blocking(call: Callable[[], Any]) -> Iterator[ExportUserResponse]:
    """Every item of one export."""
    stream = call()
    try:
        yield from stream
    except grpc.RpcError as error:
        raise from_stream_error(error) from error
    finally:
        stream.cancel()
