"""Callers of two Envoys at a steady rate, who remember what was acknowledged.

Each has a connection of its own. Where it is refused or breaks, the caller goes over to the other
Envoy and stays there. A read that failed is asked once more; a change never is.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import ssl
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

Json = dict[str, Any]
# Of 100 calls 60 are reads. Changes wait while there is no primary, so they have more callers.
READERS, READS = 20, 0.6
WRITERS, CHANGES = 40, 0.4


@dataclass
class Phase:
    """What callers saw in one part of the test."""

    calls: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)
    again: list[str] = field(default_factory=list)  # reads asked once more, and why
    failed_reads: list[str] = field(default_factory=list)  # also then
    failed_changes: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)  # what reads had not seen yet
    slowest: float = 0.0  # seconds

    @property
    def rate(self) -> float:
        return self.calls.total() / (time.monotonic() - self.began)


class Caller:
    """One client: a connection to an Envoy, and the address of another."""

    def __init__(self, ways: Sequence[httpx.AsyncClient]) -> None:
        self._ways = list(ways)

    async def send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> httpx.Response | httpx.TransportError:
        for _ in self._ways[1:]:
            try:
                return await self._ways[0].request(method, path, json=body)
            except httpx.ConnectError:
                self._ways.reverse()  # nobody has seen the call
            except httpx.TransportError as error:
                self._ways.reverse()
                return error
        try:
            return await self._ways[0].request(method, path, json=body)
        except httpx.TransportError as error:
            return error


@dataclass
class Load:
    """All callers, and what they know together."""

    readers: Sequence[Caller]
    writers: Sequence[Caller]
    connectors: Sequence[str]
    draw: random.Random
    calls_a_second: float
    phase: Phase = field(default_factory=Phase)
    acknowledged: int = 0  # changes
    # Of each user: the name as last acknowledged, and those sent without a reply: the server may still
    # be at work on such a change when a later one is acknowledged, so it may come out last.
    names: dict[str, str] = field(default_factory=dict)
    perhaps: dict[str, set[str]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """All call while inside; the last calls are answered at the end."""
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for place, caller in enumerate(self.writers):
                group.create_task(self._write(caller, place, over))
            for place, caller in enumerate(self.readers):
                group.create_task(self._read(caller, place, over))
            try:
                yield
            finally:
                over.set()

    async def some(self, seconds: float) -> None:
        """Let callers go on for as many reads as come in so long a time."""
        wanted = self.phase.calls["GET"] + int(seconds * self.calls_a_second * READS)
        while self.phase.calls["GET"] < wanted:  # noqa: ASYNC110 - calls set no event
            await asyncio.sleep(0.02)

    async def _write(self, caller: Caller, place: int, over: asyncio.Event) -> None:
        user_id = ""
        rate = self.calls_a_second * CHANGES
        async for number in _paced(place / rate, WRITERS / rate, over):
            phase, began = self.phase, time.monotonic()
            if number % 3 == 0 or not user_id:
                user_id = await self._create(phase, caller)
                phase.calls["POST"] += 1
            else:
                await self._rename(phase, caller, user_id)
                phase.calls["PUT"] += 1
            phase.slowest = max(phase.slowest, time.monotonic() - began)

    async def _read(self, caller: Caller, place: int, over: asyncio.Event) -> None:
        rate = self.calls_a_second * READS
        async for number in _paced(place / rate, READERS / rate, over):
            phase, began = self.phase, time.monotonic()
            if number % 4 == 0:
                await self._get(phase, caller, f"/connectors/{self.draw.choice(self.connectors)}")
            elif number % 4 == 1 or not self.names:
                await self._get(phase, caller, "/users?limit=5")
            else:
                await self._look(phase, caller, self.draw.choice(list(self.names)))
            phase.calls["GET"] += 1
            phase.slowest = max(phase.slowest, time.monotonic() - began)

    async def _create(self, phase: Phase, caller: Caller) -> str:
        user_id = f"load_{uuid.uuid4().hex}"
        body = {"userId": user_id, "email": f"{user_id}@example.com", "firstName": "n0"}
        if not await self._change(phase, caller, "POST", "/users", body):
            return ""
        self.names[user_id], self.perhaps[user_id] = "n0", set()
        return user_id

    async def _rename(self, phase: Phase, caller: Caller, user_id: str) -> None:
        name = f"n{next(self._numbers)}"
        self.perhaps[user_id].add(name)  # it may be there from now on
        path = f"/users/{user_id}/profile"
        if await self._change(phase, caller, "PUT", path, {"firstName": name}):
            self.names[user_id] = name
            self.perhaps[user_id].remove(name)

    async def _change(
        self, phase: Phase, caller: Caller, method: str, path: str, body: Mapping[str, Any]
    ) -> bool:
        reply = await caller.send(method, path, body)
        if _good(reply):
            self.acknowledged += 1
            return True
        phase.failed_changes.append(f"{method} {path}: {_reported(reply)}")
        return False

    async def _look(self, phase: Phase, caller: Caller, user_id: str) -> None:
        known = self.names[user_id]
        reply = await self._get(phase, caller, f"/users/{user_id}")
        if reply is not None:
            name = reply["data"]["profile"]["firstName"]
            if _number(name) < _number(known) and name not in self.perhaps[user_id]:
                phase.stale.append(f"{user_id}: {name} for {known}")

    async def _get(self, phase: Phase, caller: Caller, path: str) -> Json | None:
        """What it says; None where it failed twice."""
        reply = await caller.send("GET", path)
        if not _good(reply):
            phase.again.append(f"{path}: {_reported(reply)}")
            reply = await caller.send("GET", path)
        if not _good(reply):
            phase.failed_reads.append(f"{path}: {_reported(reply)}")
            return None
        assert isinstance(reply, httpx.Response)
        found: Json = reply.json()
        return found

    async def lost(self) -> tuple[list[str], int]:
        """Acknowledged users that are not there, or not as they were last acknowledged.

        And how many are as an earlier change left them that had no reply.
        """
        gone: list[str] = []
        late = 0
        ids = sorted(self.names)
        for start in range(0, len(ids), 50):
            wanted = ids[start : start + 50]
            query = "&".join(f"userIds={each}" for each in wanted)
            reply = await self.readers[0].send("GET", f"/users:batchGet?{query}")
            assert isinstance(reply, httpx.Response)
            users = reply.raise_for_status().json()["data"]["users"]
            found = {user["userId"]: user["profile"]["firstName"] for user in users}
            gone += [
                f"{each}: {found.get(each)} for {self.names[each]}"
                for each in wanted
                if found.get(each) not in {self.names[each], *self.perhaps[each]}
            ]
            late += sum(
                found.get(each) in self.perhaps[each]
                and _number(found[each]) < _number(self.names[each])
                for each in wanted
            )
        return gone, late


async def _paced(first: float, each: float, over: asyncio.Event) -> AsyncIterator[int]:
    """Numbers at their times, in seconds; times that passed during a call are left out."""
    start = time.monotonic() + first
    for number in itertools.count():
        pause = start - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)  # the rate, not a wait for anything
        if over.is_set():
            return
        yield number
        while start < time.monotonic():
            start += each


def _good(reply: httpx.Response | httpx.TransportError) -> bool:
    return isinstance(reply, httpx.Response) and reply.is_success


def _number(name: str) -> int:
    """Names count upwards."""
    return int(name.removeprefix("n"))


def _reported(reply: httpx.Response | httpx.TransportError) -> str:
    if isinstance(reply, httpx.TransportError):
        return type(reply).__name__
    return f"{reply.status_code} {reply.text[:200]}"


@asynccontextmanager
async def load(
    rests: Sequence[str], connectors: Sequence[str], draw: random.Random, calls_a_second: float
) -> AsyncIterator[Load]:
    """Half of the callers begin at each of the two."""
    unused = ssl.create_default_context()  # made once: it takes longer than all the rest
    async with AsyncExitStack() as stack:

        async def callers(count: int) -> list[Caller]:
            made = []
            for number in range(count):
                ways = [
                    await stack.enter_async_context(
                        httpx.AsyncClient(base_url=f"{rest}/api/v1", timeout=20, verify=unused)
                    )
                    for rest in (rests if number % 2 else reversed(rests))
                ]
                made.append(Caller(ways))
            return made

        yield Load(await callers(READERS), await callers(WRITERS), connectors, draw, calls_a_second)
