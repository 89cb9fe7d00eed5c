"""Calls that no decent client would make."""

from __future__ import annotations

import http.client
import io
import select
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.e2e.users_errors import Failure, rest_error

TIMEOUT = 30.0


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    content: bytes

    def failure(self, path: str | None) -> Failure:
        assert self.headers["content-type"] == "application/json"
        return rest_error(self.status, self.content, path)


def connected(base: str) -> socket.socket:
    address = urlsplit(base)
    return socket.create_connection((address.hostname or "", address.port or 0), TIMEOUT)


def _reply(connection: socket.socket) -> Reply:
    response = http.client.HTTPResponse(connection)
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, headers, response.read())


def raw(
    base: str,
    request_line: bytes,
    *headers: bytes,
    body: bytes | None = None,
    end: bytes = b"",
    host: bytes | None = b"finlink",
) -> Reply:
    """Send an HTTP/1 request as it is written, which no HTTP library would.

    `end` is a body whose length is not told.
    """
    lines = [request_line, *([] if host is None else [b"Host: " + host]), *headers]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    with connected(base) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + (body or end))
        return _reply(connection)


def streamed(base: str, request_line: bytes, *headers: bytes, body: Iterable[bytes]) -> Reply:
    """Send a long body piece by piece, until it is through or the reply is there."""
    head = b"\r\n".join([request_line, b"Host: finlink", *headers]) + b"\r\n\r\n"
    with connected(base) as connection:
        connection.sendall(head)
        try:
            for piece in body:
                if select.select([connection], [], [], 0)[0]:
                    break
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the reply came while a piece was on its way
        return _reply(connection)


def zeros(count: int, piece: int = 1 << 16) -> Iterable[bytes]:
    """A body of `count` bytes."""
    source = io.BytesIO(b"0" * piece)
    for _ in range(count // piece):
        yield source.getvalue()


def chunked(pieces: Iterable[bytes]) -> Iterable[bytes]:
    """The same as chunks of an HTTP/1.1 body whose length is not told."""
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"
