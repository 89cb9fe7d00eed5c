"""Single REST calls, one connection a thread of use."""

from __future__ import annotations

import http.client
import json
import time
from types import TracebackType
from typing import Any, Self


class CallFailed(Exception):
    """A reply with which no measurement can continue; the message shows it."""


class Client:
    """A connection that is kept open. Not for several threads at once."""

    def __init__(self, port: int, patience: float = 60.0, **headers: str) -> None:
        """`headers` go with each call; `_` stands for `-`."""
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def call(self, verb: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and JSON of the reply. Raises OSError, http.client.HTTPException, ValueError."""
        content = None if body is None else json.dumps(body)
        kind = {} if body is None else {"content-type": "application/json"}
        headers = {**self._headers, **kind}
        try:
            self._connection.request(verb, path, content, headers)
            reply = self._connection.getresponse()
            return reply.status, json.loads(reply.read())
        except (OSError, http.client.HTTPException):
            self._connection.close()  # the next call opens it again
            raise

    def get(self, path: str) -> Any:
        """`data` of the reply. Raises CallFailed where it is an error."""
        status, found = self.call("GET", path)
        if status != 200:
            raise CallFailed(f"GET {path}: {status} {json.dumps(found)}")
        return found["data"]

    def timed(self, path: str) -> float:
        """How many milliseconds a GET takes. Raises CallFailed."""
        began = time.perf_counter()
        self.get(path)
        return (time.perf_counter() - began) * 1000
