"""Load over REST that remembers what it was told, and a way to kill its processes."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx

ERROR_FIELDS = {"code", "message", "details", "timestamp", "path"}


@dataclass
class Load:
    """What callers saw. `misshapen` are answers that are neither a success nor a documented 503."""

    rest: httpx.AsyncClient
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    acknowledged: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    in_flight: int = 0

    async def create(self) -> None:
        user_id = f"load_{uuid.uuid4().hex}"
        self.in_flight += 1
        body = {"userId": user_id, "email": f"{user_id}@example.com"}
        reply = await self.rest.post("/users", json=body)
        self.in_flight -= 1
        self._note("POST", reply)
        if reply.status_code == 201:
            self.acknowledged.append(user_id)

    async def get(self, user_id: str) -> None:
        self._note("GET", await self.rest.get(f"/users/{user_id}"))

    def _note(self, verb: str, reply: httpx.Response) -> None:
        self.statuses[verb, reply.status_code] += 1
        if reply.is_success:
            return
        error = reply.json().get("error", {})
        if (reply.status_code, error.get("code")) != (503, "UNAVAILABLE") or set(
            error
        ) != ERROR_FIELDS:
            self.misshapen.append(reply.text)

    async def missing(self) -> list[str]:
        """Acknowledged users that cannot be read."""
        gone: list[str] = []
        for start in range(0, len(self.acknowledged), 100):
            ids = self.acknowledged[start : start + 100]
            reply = await self.rest.get("/users:batchGet", params={"userIds": ids})
            gone += reply.json()["data"]["missingUserIds"]
        return gone


class Running(Protocol):
    """A Finlink whose processes can be killed."""

    @property
    def ports(self) -> Mapping[str, int]: ...

    def status(self) -> dict[str, Any]: ...


@asynccontextmanager
async def under(*callers: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Each caller calls again and again while inside; at the end each finishes its last call."""
    going = True

    async def call(once: Callable[[], Awaitable[None]]) -> None:
        while going:
            await once()

    async with asyncio.TaskGroup() as group:
        for caller in callers:
            group.create_task(call(caller))
        try:
            yield
        finally:
            going = False


async def kill(stack: Running, name: str) -> None:
    """`kill -9` of a process; returns once another one has taken its place and Envoy sends to it."""
    victim = stack.status()["pids"][name]
    os.kill(victim, signal.SIGKILL)

    def replaced() -> bool:
        status = stack.status()
        return bool(status["ready"]) and status["pids"].get(name, victim) != victim

    await until(replaced)
    await until(lambda: healthy_workers(stack) == 2)


def healthy_workers(stack: Running) -> int:
    """How many workers Envoy sends requests to."""
    name = "cluster.finlink.membership_healthy"
    admin = f"http://127.0.0.1:{stack.ports['ADMIN_PORT']}"
    stats = httpx.get(f"{admin}/stats", params={"filter": f"^{name}$"}).text
    return int(stats.partition(":")[2])


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)
