"""Rate limits over time, and over very many addresses."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from server.edge.limits import Limits
from tests.chaos.figures import Figures
from tests.e2e.strictness_calls import connected
from tests.edge.edge_stack import HOUR_MS, EdgeStack, edge_stack

STATUS = "/api/v1/connectors/status"
KEPT = 20_000  # buckets of a group, see codegen/limits.py
AT_ONCE = 50  # connections


async def test_steady_calls_get_what_comes_back(
    tmp_path: Path, full: bool, figures: Figures
) -> None:
    """The bucket's number at first, then a token each time one has come back, and none else."""
    limit, window, windows, pause = (60, 60.0, 3, 0.1) if full else (60, 3.0, 2, 0.01)
    limits = Limits(window_ms=int(window * 1000), calls=dict.fromkeys(NAMES, limit))
    admitted: list[float] = []
    empty: tuple[float, int] | None = (
        None  # when a call was refused last, and how many were not by then
    )
    with edge_stack(tmp_path, limits) as opened:
        async with httpx.AsyncClient(base_url=opened.rest, timeout=30) as client:
            began = time.monotonic()
            while (now := time.monotonic()) < began + window * windows:
                reply = await client.get(STATUS)
                assert reply.status_code in {200, 429}
                if reply.status_code == 200:
                    admitted.append(now - began)
                else:
                    empty = now - began, len(admitted)
                await asyncio.sleep(pause)
            took = time.monotonic() - began
    per_window = Counter(int(at / window) for at in admitted)
    figures.show(
        f"admitted in each {window:.0f} s, limit {limit}", dict(sorted(per_window.items()))
    )
    assert len(admitted) <= limit + int(took / window * limit) + 1
    # A slow caller leaves some in the bucket; who is refused has found it empty.
    if full:
        assert empty is not None
    if empty is not None:
        assert empty[1] >= limit + int(empty[0] / window * limit) - 2
    assert per_window[0] <= 2 * limit
    if full:
        for number in range(1, windows):
            assert abs(per_window[number] - limit) <= 1


NAMES = ("overall", "users", "connectors", "status", "sync")


def call_from(opened: EdgeStack, first: int, last: int) -> None:
    """A call from each address, as a proxy would pass them on. None reaches a server."""
    with ExitStack() as held:
        connections = [held.enter_context(connected(opened.rest)) for _ in range(AT_ONCE)]
        for start in range(first, last, AT_ONCE):
            for number, connection in enumerate(connections, start):
                address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
                head = f"GET /api/v1/users/a/b HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {address}"
                connection.sendall(f"{head}\r\n\r\n".encode())
            for connection in connections:
                reply = b""
                while not reply.endswith(b"}\n"):
                    piece = connection.recv(65_536)
                    assert piece, reply
                    reply += piece
                assert reply.startswith(b"HTTP/1.1 404 ")


@pytest.mark.full_only
def test_memory_is_bounded_over_many_addresses(tmp_path: Path, figures: Figures) -> None:
    total = 100_000
    limits = Limits(window_ms=HOUR_MS, trusted_proxies=("127.0.0.1/32",))
    with edge_stack(tmp_path, limits) as opened:
        call_from(opened, 0, 200)
        at_first = opened.memory()
        call_from(opened, 0, KEPT)
        filled = opened.memory()
        call_from(opened, KEPT, total)
        at_end = opened.memory()
    figures.show("Envoy's memory at first, MB", at_first / 1e6)
    figures.show(f"after {KEPT:,} addresses, MB", filled / 1e6)
    figures.show(f"after {total:,} addresses, MB", at_end / 1e6)
    # Past the number that is kept, old buckets go as new ones come.
    assert at_end < filled + (filled - at_first) * 0.1
