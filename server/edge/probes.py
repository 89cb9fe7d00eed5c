"""Whether something responds: small checks, and waiting until one of them says yes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

INTERVAL = 0.05
TIMEOUT = 2.0  # for one reply


async def until(probe: Callable[[], Awaitable[bool]]) -> None:
    """Return when the probe says yes. The caller sets the deadline."""
    while not await probe():  # noqa: ASYNC110 - other processes set no event
        await asyncio.sleep(INTERVAL)


async def port_open(port: int, host: str = "127.0.0.1") -> bool:
    try:
        async with asyncio.timeout(TIMEOUT):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:  # TimeoutError is one
        return False
    writer.close()
    return True


async def http(method: str, port: int, path: str) -> tuple[int, str]:
    """Status and body of one request to a plain HTTP server on loopback. Raises OSError.

    Enough for Envoy's admin port; a client library would take longer to import than this takes.
    The sizes of chunks stay in the body.
    """
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
            writer.write(f"{head}content-length: 0\r\n\r\n".encode())
            reply = await reader.read()
        finally:
            writer.close()
    status_line, _, rest = reply.partition(b"\r\n")
    words = status_line.split()
    if len(words) < 2 or not words[1].isdigit():
        raise ConnectionError("not an HTTP reply")
    return int(words[1]), rest.partition(b"\r\n\r\n")[2].decode(errors="replace")


async def envoy_ready(admin_port: int) -> bool:
    try:
        status, _ = await http("GET", admin_port, "/ready")
    except OSError:
        return False
    return status == 200


async def serving(target: str) -> bool:
    """Whether the gRPC server at the target says it is SERVING."""
    async with grpc.aio.insecure_channel(target) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT)
        except grpc.RpcError:
            return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)
