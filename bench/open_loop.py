"""Requests at a steady rate, whether or not the replies keep up, as independent callers send them. Time that
a request waits because others are late counts as its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

_CONNECTIONS = 128
_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    kind: str
    verb: str
    path: str
    body: bytes = b""
    headers: str = ""  # more of them, each with its line feed

    def encoded(self) -> bytes:
        head = f"{self.verb} {self.path} HTTP/1.1\r\nhost: bench\r\n{self.headers}"
        if self.body:
            head += f"content-type: application/json\r\ncontent-length: {len(self.body)}\r\n"
        return head.encode() + b"\r\n" + self.body


@dataclass
class Outcome:
    """The results of the requests of one kind."""

    latency_ms: list[float] = field(default_factory=list)
    failed: int = 0  # an error as reply, or none at all


async def send(port: int, requests: Iterable[Request], per_second: float) -> dict[str, Outcome]:
    """Send each at its time; by kind, how long they took."""
    outcomes: dict[str, Outcome] = {}
    queue: asyncio.Queue[tuple[float, Request] | None] = asyncio.Queue()
    workers = [
        asyncio.create_task(_work(port, queue, outcomes), name=f"connection-{number}")
        for number in range(_CONNECTIONS)
    ]
    began = time.perf_counter()
    for number, request in enumerate(requests):
        at = began + number / per_second
        outcomes.setdefault(request.kind, Outcome())
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        queue.put_nowait((at, request))
    for _ in workers:
        queue.put_nowait(None)
    await asyncio.gather(*workers)
    return outcomes


async def _work(
    port: int, queue: asyncio.Queue[tuple[float, Request] | None], outcomes: dict[str, Outcome]
) -> None:
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while (item := await queue.get()) is not None:
        at, request = item
        outcome = outcomes[request.kind]
        try:
            async with asyncio.timeout(_TIMEOUT):
                connection = connection or await asyncio.open_connection("127.0.0.1", port)
                status = await _exchange(*connection, request.encoded())
        except (OSError, ValueError, asyncio.IncompleteReadError):  # TimeoutError is an OSError
            if connection is not None:
                connection[1].close()
            connection = None
            status = 0
        outcome.latency_ms.append((time.perf_counter() - at) * 1000)
        outcome.failed += not 200 <= status < 300
    if connection is not None:
        connection[1].close()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> int:
    """The status of a reply that was read to its end. Raises ValueError for what is no HTTP/1.1."""
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head.split(b" ", 2)[1])
    _, found, rest = head.partition(b"content-length:")
    if found:
        await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
    elif b"transfer-encoding: chunked" in head:
        while size := int((await reader.readline()).strip(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    return status
