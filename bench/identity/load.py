"""Calls of many at once over aiohttp, each of whom waits for a reply before the next call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import aiohttp

from bench.stats import percentile


@dataclass
class Outcome:
    """The replies of one kind of call."""

    seconds: float = 0.0
    latency_ms: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Replies with 200 a second."""
        return self.statuses.get(200, 0) / self.seconds if self.seconds else 0.0

    @property
    def failed(self) -> int:
        return sum(count for status, count in self.statuses.items() if status != 200)

    def add(self, status: int, began: float) -> None:
        self.latency_ms.append((time.perf_counter() - began) * 1000)
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def as_dict(self) -> dict[str, Any]:
        shown = {
            f"p{share}": round(percentile(self.latency_ms, share), 1) for share in (50, 95, 99)
        }
        return {"rate": round(self.rate, 1), **shown, "statuses": self.statuses}


class Http:
    """A Finlink's REST port."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def call(
        self, verb: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and JSON of the reply."""
        status, reply, _ = await self.call_with_wait(verb, path, body, headers)
        return status, reply

    async def call_with_wait(
        self, verb: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, float]:
        """Status and JSON of the reply, and the seconds after which to come again: 0 if it does not say."""
        async with self._session.request(verb, path, json=body, headers=headers) as reply:
            wait = float(reply.headers.get("retry-after", 0))
            return reply.status, await reply.json(), wait


@asynccontextmanager
async def http(port: int) -> AsyncIterator[Http]:
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(
        f"http://127.0.0.1:{port}", connector=connector, timeout=timeout
    ) as session:
        yield Http(session)


# Makes one call; gives its status.
Step: TypeAlias = Callable[[], Awaitable[int]]


async def closed_loop(steps: list[Step], seconds: float) -> Outcome:
    """Each of `steps` again and again, side by side."""
    outcome, began = Outcome(), time.perf_counter()

    async def client(step: Step) -> None:
        while time.perf_counter() - began < seconds:
            at = time.perf_counter()
            outcome.add(await step(), at)

    await asyncio.gather(*map(client, steps))
    outcome.seconds = time.perf_counter() - began
    return outcome
