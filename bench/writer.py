"""One write for each hundred reads, and whether reads that follow see it."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from random import Random

from bench import data
from bench.client import CallFailed, Client

_READERS = 3  # connections that check each write, so that different workers are asked
_BEGINNING = 1_000_000
_numbers: Iterator[int] = count(
    _BEGINNING
)  # each write has a number of its own, and later ones greater


@dataclass
class Written:
    writes: int = 0
    stale: int = 0
    failed: int = 0


class Writer(threading.Thread):
    """Changes hot users' income at a steady rate until it is stopped."""

    def __init__(self, port: int, users: int, per_second: float, seed: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._pause = 1 / per_second
        self._random = Random(seed)  # noqa: S311 - no secret
        self._ids = data.hot_ids(users)
        self._halt = threading.Event()
        self.written = Written()

    def stop(self) -> Written:
        self._halt.set()
        self.join(10)
        return self.written

    def run(self) -> None:
        with ExitStack() as open_:
            clients = [open_.enter_context(Client(self._port, 10)) for _ in range(1 + _READERS)]
            at = time.monotonic()
            while not self._halt.wait(max(0.0, at - time.monotonic())):
                at += self._pause
                try:
                    self._write_and_look(*clients)
                except (CallFailed, OSError, http.client.HTTPException, ValueError):
                    self.written.failed += 1

    def _write_and_look(self, writer: Client, *readers: Client) -> None:
        # As Zipf's law has it, nearly: the logarithm of the rank is uniform.
        rank = int(len(self._ids) ** self._random.random()) - 1
        path, number = f"/api/v1/users/{self._ids[rank]}", next(_numbers)
        status, _ = writer.call("PUT", f"{path}/profile", {"income": number})
        if status != 200:
            self.written.failed += 1
            return
        self.written.writes += 1
        for reader in readers:
            self.written.stale += reader.get(path)["profile"]["income"] < number
