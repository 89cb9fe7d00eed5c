"""Attacks on the edge: refused or closed, others served meanwhile, memory flat, and never a 5xx.

What bad requests alone get (bodies, paths, headers, field values) is in tests/e2e/test_strictness*.py.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx
import pytest

from tests.chaos.figures import Figures
from tests.e2e.strictness_calls import connected, raw, streamed, zeros
from tests.e2e.users_errors import failed
from tests.security_long.wire2 import CONTINUATION, END_HEADERS, HEADERS, TIMEOUT, frame, http2
from tests.stack import Stack

FLAT = 48_000_000  # bytes by which Envoy may grow; 1,200 connections held open take 29 MB
USERS = "/api/v1/users?limit=1"
GRPC_USERS = "/finlink.users.v1.UserService/ListUsers"


def admin(stack: Stack, path: str) -> str:
    reply = httpx.get(f"http://127.0.0.1:{stack.ports['ADMIN_PORT']}{path}", timeout=30)
    return reply.raise_for_status().text


def memory(stack: Stack) -> int:
    return int(json.loads(admin(stack, "/memory"))["allocated"])


def faults(stack: Stack) -> int:
    """How many 5xx Envoy has answered on either port."""
    stats = admin(stack, r"/stats?filter=^http\.(rest|grpc)\.downstream_rq_5xx")
    return sum(int(count) for count in re.findall(r": (\d+)", stats))


@pytest.fixture(autouse=True)
def _others_are_served(stack: Stack, full: bool, figures: Figures) -> Iterator[None]:
    """Somebody else calls all the time: every call of theirs is answered."""
    memory_before, faults_before = memory(stack), faults(stack)
    stop = threading.Event()
    statuses: list[int] = []
    sizes: list[int] = []

    def bystander() -> None:
        with httpx.Client(base_url=stack.rest, timeout=30) as client:
            while not (statuses and stop.is_set()):
                statuses.append(client.get(USERS).status_code)
                sizes.append(memory(stack))

    thread = threading.Thread(target=bystander)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert set(statuses) == {200}
    assert faults(stack) == faults_before
    grown = max(sizes) - memory_before
    assert grown < FLAT
    if full:
        figures.show("Envoy's memory grew by at most, MB", grown / 1e6)
        figures.show("others' calls served meanwhile", len(statuses))


def ended(connection: socket.socket) -> bytes:
    """What still comes before the other end closes."""
    found = b""
    try:
        while piece := connection.recv(65_536):
            found += piece
    except ConnectionError:
        pass
    return found


# --- too much ---------------------------------------------------------------------------------


def test_many_bodies_of_100_mb_at_once(stack: Stack, full: bool) -> None:
    found: list[int] = []

    def attack() -> None:
        length = b"Content-Length: %d" % (100 << 20)
        line = b"POST /api/v1/users HTTP/1.1"
        found.append(streamed(stack.rest, line, length, body=zeros(100 << 20)).status)

    with at_once(attack, 50 if full else 10):
        pass
    assert set(found) == {413}


@contextmanager
def at_once(attack: Callable[[], None], count: int) -> Iterator[None]:
    threads = [threading.Thread(target=attack) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()


def test_10_000_headers(stack: Stack) -> None:
    headers = [b"X-%d: 1" % number for number in range(10_000)]
    assert raw(stack.rest, b"GET /api/v1/users HTTP/1.1", *headers).status == 431
    for port in (stack.ports["PORT"], stack.ports["GRPC_PORT"]):
        with http2(port) as connection:
            stream = connection.request((f"x-{number}", "1") for number in range(10_000))
            assert connection.replied(stream).get(":status", "431") == "431"


def test_one_header_many_times_over(stack: Stack) -> None:
    """HPACK makes it a byte each on the wire."""
    bomb = [("x-bomb", "a" * 4_000)] * 10_000
    with http2(stack.ports["PORT"]) as connection:
        stream = connection.request(bomb)
        assert connection.replied(stream).get(":status", "431") == "431"


# --- too slow ---------------------------------------------------------------------------------


def test_slow_callers_are_let_go(stack: Stack, full: bool) -> None:
    """Some say nothing, some do not begin with TLS, some send a byte a second."""
    count = 300 if full else 30
    https = f"http://127.0.0.1:{stack.ports['TLS_PORT']}"
    head = b"POST /api/v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
    with ExitStack() as held:

        def callers(base: str, first: bytes) -> list[socket.socket]:
            opened = [held.enter_context(connected(base)) for _ in range(count)]
            for connection in opened:
                connection.sendall(first)
            return opened

        callers(stack.rest, b"")  # these stay until they are idle too long, and disturb nobody
        silent = callers(https, b"")
        slow = callers(stack.rest, head)
        if full:  # let go after 15 s
            slow += callers(stack.rest, head + b"\r\n{")
        drip = held.enter_context(dripping(slow))
        assert {ended(connection) for connection in silent} == {b""}
        assert {ended(connection)[:13] for connection in slow} <= {b"", b"HTTP/1.1 408 "}
        drip.set()


@contextmanager
def dripping(connections: list[socket.socket]) -> Iterator[threading.Event]:
    """A byte a second into each of them, until the event is set."""
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(1.0):
            for connection in connections:
                with suppress(OSError):  # it was let go
                    connection.sendall(b"X")

    with at_once(drip, 1):
        try:
            yield stop
        finally:
            stop.set()


# --- HTTP/2 -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("port", "path"), [("PORT", USERS), ("GRPC_PORT", GRPC_USERS)])
def test_3_000_streams_opened_and_reset(
    stack: Stack, figures: Figures, port: str, path: str
) -> None:
    """CVE-2023-44487, rapid reset."""
    with http2(stack.ports[port]) as connection:
        opened = 0
        while opened < 3_000 and not connection.closed:
            for _ in range(100):
                stream = connection.h2.get_next_available_stream_id()
                block = connection.h2.encoder.encode(
                    [(":method", "POST"), (":scheme", "http"), (":authority", "x"),
                     (":path", path), ("content-type", "application/grpc"), ("te", "trailers")]
                )  # fmt: skip
                reset = frame(0x3, 0, opened * 2 + 1, b"\0\0\0\x08")
                connection.send(frame(HEADERS, END_HEADERS, opened * 2 + 1, block) + reset)
                opened += 1
                assert stream
            connection.events(0.01)
        connection.events(TIMEOUT)
        assert connection.closed
        figures.show("streams until the connection was closed, at most", opened)


@pytest.mark.parametrize("port", ["PORT", "GRPC_PORT"])
def test_a_flood_of_continuation_frames(
    stack: Stack, full: bool, figures: Figures, port: str
) -> None:
    """CVE-2024-27983 and its kin: headers that never end."""
    with http2(stack.ports[port]) as connection:
        start = connection.h2.encoder.encode(
            [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", USERS)]
        )
        connection.send(frame(HEADERS, 0, 1, start))
        sent = 0
        while sent < (100_000 if full else 5_000) and not connection.closed:
            piece = b"".join(
                frame(CONTINUATION, 0, 1, b"\x00\x04x-%02d\x04abcd" % (number % 100))
                for number in range(100)
            )
            connection.send(piece)
            sent += 100
        connection.events(TIMEOUT)
        assert connection.closed
        figures.show("frames sent until the connection was closed, at most", sent)


@pytest.mark.parametrize("kind", ["ping", "settings", "empty data", "priority"])
def test_floods_of_small_frames(stack: Stack, full: bool, kind: str) -> None:
    """Of CVE-2019-9511 to -9518. The replies are not read."""
    frames = {
        "ping": frame(0x6, 0, 0, b"12345678"),
        "settings": frame(0x4, 0, 0, b""),
        "empty data": frame(0x0, 0, 1, b""),
        "priority": frame(0x2, 0, 1, b"\0\0\0\0\x10"),
    }
    with http2(stack.ports["PORT"]) as connection:
        connection.request([], verb="POST", path=USERS, end=False)
        flood = frames[kind] * 1_000
        for _ in range(2_000 if full else 200):
            if connection.closed:
                break
            connection.send(flood)
        connection.events(TIMEOUT)
        assert connection.closed


# --- two readings of one request --------------------------------------------------------------

SMUGGLED = b"GET /api/v1/users/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED_END = b"0\r\n\r\n"
SMUGGLING = {
    "length and chunks": [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
    "chunks and length": [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
    "two lengths": [b"Content-Length: 5", b"Content-Length: 55"],
    "two lengths in one": [b"Content-Length: 5, 55"],
    "a length with a sign": [b"Content-Length: +5"],
    "a negative length": [b"Content-Length: -5"],
    "a length in hexadecimal": [b"Content-Length: 0x5"],
    "a length too large": [b"Content-Length: 99999999999999999999"],
    "two encodings": [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
    "an encoding nobody knows": [b"Transfer-Encoding: xchunked"],
    "an encoding with a tab": [b"Transfer-Encoding:\x0bchunked"],
    "a space before the colon": [b"Transfer-Encoding : chunked"],
    "a folded header": [b"X: y\r\n Transfer-Encoding: chunked"],
    "a bare CR in a header": [b"X: y\rTransfer-Encoding: chunked"],
    "a NUL in a header": [b"X: a\0b"],
}  # fmt: skip


def test_requests_that_can_be_read_in_two_ways(stack: Stack) -> None:
    with ExitStack() as held:
        connections = {}
        for kind, headers in SMUGGLING.items():
            connections[kind] = held.enter_context(connected(stack.rest))
            head = b"\r\n".join([b"POST /api/v1/users HTTP/1.1", b"Host: x", *headers])
            connections[kind].sendall(head + b"\r\n\r\n" + CHUNKED_END + SMUGGLED)
        for kind, connection in connections.items():
            reply = ended(connection)
            assert set(re.findall(rb"HTTP/1.1 (\d+)", reply)) <= {b"400"}, kind
            assert b"smuggled" not in reply, kind


# --- names that look alike --------------------------------------------------------------------


@pytest.mark.parametrize(
    "user_id", ["аdmin", "ａdmin", "admin\u200b", "ad\u0301min", "\u202eadmin", "ſmith", "İd"]
)
def test_ids_that_look_like_others(stack: Stack, user_id: str) -> None:
    body = {"userId": user_id, "email": "looks.alike@example.com"}
    with httpx.Client(base_url=f"{stack.rest}/api/v1", timeout=30) as client:
        made = failed(client.post("/users", json=body))
        assert "userId" in made.fields
        assert client.get(f"/users/{user_id}").status_code == 400


# --- metadata that is no base64 ---------------------------------------------------------------


@pytest.mark.parametrize("value", ["%%%", "a", "====", "\x7f", "é"])
def test_binary_metadata_that_is_none(stack: Stack, value: str) -> None:
    with http2(stack.ports["GRPC_PORT"]) as connection:
        grpc = [("content-type", "application/grpc"), ("te", "trailers"), ("some-bin", value)]
        stream = connection.request(grpc, verb="POST", path=GRPC_USERS, end=False)
        connection.h2.send_data(stream, b"\0\0\0\0\0", end_stream=True)
        connection.flush()
        reply = connection.replied(stream)
    # Served without it, or refused as HTTP; never a fault of the server's.
    if reply:
        assert (reply[":status"], reply["grpc-status"]) == ("200", "0")
