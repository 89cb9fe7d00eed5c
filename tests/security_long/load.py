"""Requests at a steady rate, with their latencies and failures."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

Call = Callable[[], Awaitable[httpx.Response]]


@dataclass
class Measured:
    """What became of the requests. Latencies are in milliseconds."""

    latencies: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def percentile(self, percent: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]

    def __str__(self) -> str:
        return (
            f"{len(self.latencies)} requests ({len(self.latencies) / self.seconds:.0f}/s), "
            f"{self.failed.total()} failed, "
            f"p50 {self.percentile(50):.0f} ms, p99 {self.percentile(99):.0f} ms"
        )


@asynccontextmanager
async def steady(calls: Sequence[Call], rate: float) -> AsyncIterator[Measured]:
    """While inside, make the calls in turn, `rate` a second, however long their replies take."""
    measured = Measured()
    now = asyncio.get_running_loop().time

    async def one(call: Call) -> None:
        sent = now()
        try:
            reply = await call()
        except httpx.HTTPError as error:
            measured.failed[type(error).__name__] += 1
        else:
            if not reply.is_success:
                measured.failed[f"{reply.status_code} {reply.text}"] += 1
        measured.latencies.append((now() - sent) * 1000)

    async def all_of_them(group: asyncio.TaskGroup) -> None:
        started = now()
        for number, call in enumerate(itertools.cycle(calls)):
            await asyncio.sleep(started + number / rate - now())
            group.create_task(one(call))

    began = now()
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(all_of_them(group))
        try:
            yield measured
        finally:
            sending.cancel()
            measured.seconds = now() - began
