"""A real HTTP server that answers each request with the next line of its script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from finlink_words import DataType

from server.platforms.base import Contents, Platform, PlatformSession
from server.platforms.http import Retry
from server.platforms.records import Item


@dataclass(frozen=True)
class Asked:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))

    @property
    def message(self) -> dict[str, object]:
        message = json.loads(self.body)
        assert isinstance(message, dict)
        return message


@dataclass(frozen=True)
class Say:
    """A reply. `cut` closes the connection after so many bytes of the body."""

    status: int = 200
    body: bytes | object = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    hang: bool = False  # never end the reply

    def encode(self) -> bytes:
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        headers = {"Content-Type": "application/json", "Connection": "close", **self.headers}
        if not self.hang:
            headers["Content-Length"] = str(len(body))
        head = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return head.encode() + b"\r\n" + body[: self.cut]


Line = Say | Callable[[Asked], Say]


class ScriptedServer:
    """Past its end, a script repeats its last line."""

    def __init__(self, *script: Line) -> None:
        self.script = list(script)
        self.asked: list[Asked] = []
        self._over = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = self.script[min(len(self.asked), len(self.script) - 1)]
            asked = await _read_request(reader)
            self.asked.append(asked)
            say = line if isinstance(line, Say) else line(asked)
            writer.write(say.encode())
            await writer.drain()
            if say.hang:
                # Until the client goes away, or the test is over.
                gone = asyncio.ensure_future(reader.read())
                over = asyncio.ensure_future(self._over.wait())
                await asyncio.wait({gone, over}, return_when=asyncio.FIRST_COMPLETED)
                for waiting in (gone, over):
                    waiting.cancel()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # what some tests are about
        finally:
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {
        name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, target, headers, body)


class NoWait:
    """Stands in for `asyncio.sleep`: remembers what was asked for and does not wait."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)


def impatient() -> Retry:
    return Retry(sleep=NoWait())


async def read(platform: Platform, session: PlatformSession, data_type: DataType) -> Sequence[Item]:
    """The items of one data type, all of them."""
    contents = await read_contents(platform, session, data_type)
    assert not contents.faults
    return contents.items


async def read_contents(
    platform: Platform, session: PlatformSession, data_type: DataType
) -> Contents:
    async with platform.reading(session) as reading:
        return (await reading.fetch(data_type)).contents()
