"""HTTP/2 as no decent client speaks it."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import h2.config
import h2.connection
import h2.events
import h2.exceptions

TIMEOUT = 30.0
HEADERS, CONTINUATION, END_HEADERS = 0x1, 0x9, 0x4


class Http2:
    """A connection whose frames the test chooses."""

    def __init__(self, plain: socket.socket) -> None:
        self.socket = plain
        # It sends what it is told, right or wrong.
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(
                validate_outbound_headers=False, normalize_outbound_headers=False
            )
        )
        self.h2.initiate_connection()
        self.closed = False
        self.flush()

    def flush(self) -> None:
        self.send(self.h2.data_to_send())

    def send(self, content: bytes) -> None:
        """Send; `closed` tells whether the other end has had enough."""
        try:
            self.socket.sendall(content)
        except OSError:
            self.closed = True

    def request(
        self, headers: Iterable[tuple[str, str]], *, verb: str = "GET", path: str = "/nope",
        end: bool = True,
    ) -> int:  # fmt: skip
        """Open a stream with these headers; returns its number."""
        stream = self.h2.get_next_available_stream_id()
        first = [(":method", verb), (":scheme", "http"), (":authority", "x"), (":path", path)]
        self.h2.send_headers(stream, [*first, *headers], end_stream=end)
        self.flush()
        return stream

    def events(self, wait: float) -> list[h2.events.Event]:
        """What comes until it ends, or until `wait` seconds of silence; `closed` tells which."""
        found: list[h2.events.Event] = []
        self.socket.settimeout(wait)
        with suppress(TimeoutError):
            while not self.closed:
                try:
                    content = self.socket.recv(65_536)
                except ConnectionError:
                    content = b""
                self.closed = not content
                with suppress(h2.exceptions.ProtocolError):  # frames of streams we have reset
                    found += self.h2.receive_data(content)
                if any(isinstance(event, h2.events.ConnectionTerminated) for event in found):
                    self.closed = True
                with suppress(h2.exceptions.ProtocolError):
                    self.flush()
        return found

    def replied(self, stream: int) -> dict[str, str]:
        """Headers and trailers of the reply on a stream; empty when it was reset instead."""
        found: dict[str, str] = {}
        give_up = time.monotonic() + TIMEOUT
        while not self.closed:
            assert time.monotonic() < give_up, "neither an answer nor an end"
            for event in self.events(0.2):
                if getattr(event, "stream_id", None) != stream:
                    continue
                if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                    found |= {_text(name): _text(value) for name, value in event.headers}
                if isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                    return found
        return found


def _text(content: bytes | str) -> str:
    return content if isinstance(content, str) else content.decode()


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


@contextmanager
def http2(port: int) -> Iterator[Http2]:
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as plain:
        yield Http2(plain)
