"""One write for each hundred reads, and whether reads that follow see it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from random import Random

from bench import data

_READERS = 3  # connections that look after each write, so that different workers are asked
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
        connections = [
            http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            for _ in range(1 + _READERS)
        ]
        try:
            at = time.monotonic()
            while not self._halt.wait(max(0.0, at - time.monotonic())):
                at += self._pause
                try:
                    self._write_and_look(connections)
                except (OSError, http.client.HTTPException, ValueError, KeyError):
                    self.written.failed += 1
                    for connection in connections:
                        connection.close()
        finally:
            for connection in connections:
                connection.close()

    def _write_and_look(self, connections: list[http.client.HTTPConnection]) -> None:
        # As Zipf's law has it, nearly: the logarithm of the rank is uniform.
        rank = int(len(self._ids) ** self._random.random()) - 1
        path, number = f"/api/v1/users/{self._ids[rank]}", next(_numbers)
        writer, *readers = connections
        body = json.dumps({"income": number})
        writer.request("PUT", f"{path}/profile", body, {"content-type": "application/json"})
        answer = writer.getresponse()
        answer.read()
        if answer.status != 200:
            self.written.failed += 1
            return
        self.written.writes += 1
        for reader in readers:
            reader.request("GET", path)
            seen = json.loads(reader.getresponse().read())["data"]["profile"]["income"]
            self.written.stale += seen < number
