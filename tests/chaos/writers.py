"""REST callers who write, repeat what was not acknowledged, and remember what was."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

Json = dict[str, Any]
# What a caller may be told while MongoDB is away, or may not be told at all.
_AGAIN = {503, 504}
_PAUSE_SECONDS = 0.2


@dataclass
class Writers:
    """What was acknowledged, over all callers. `strange` are answers nobody should ever get."""

    api: httpx.AsyncClient
    names: dict[str, str] = field(default_factory=dict)  # of users, as last acknowledged
    syncs: list[tuple[str, str]] = field(default_factory=list)  # (connector, run) asked for
    statuses: Counter[int] = field(default_factory=Counter)  # 0: no reply
    tries: Counter[int] = field(default_factory=Counter)  # of writes, by how many it took
    strange: list[str] = field(default_factory=list)
    acknowledged: int = 0

    @asynccontextmanager
    async def at_work(self, callers: int, connectors: Sequence[str]) -> AsyncIterator[None]:
        """So many callers write while inside; each has its last write acknowledged."""
        going = True

        async def call(number: int) -> None:
            for turn in itertools.count(number):
                if not going:
                    return
                if turn % 3 == 0:
                    await self._trigger(connectors[turn * 7 % len(connectors)])
                else:
                    await self._user(updates=turn % 4)

        async with asyncio.TaskGroup() as group:
            for number in range(callers):
                group.create_task(call(number))
            try:
                yield
            finally:
                going = False

    async def _user(self, updates: int) -> None:
        user_id = f"writer_{uuid.uuid4().hex}"
        body = {"userId": user_id, "email": f"{user_id}@example.com", "firstName": "n0"}
        await self._write("POST", "/users", body)
        self.names[user_id] = "n0"
        for number in range(1, updates + 1):
            name = f"n{number}"
            await self._write("PUT", f"/users/{user_id}/profile", {"firstName": name})
            self.names[user_id] = name

    async def _trigger(self, connector_id: str) -> None:
        reply = await self._write("POST", f"/connectors/{connector_id}/sync", {})
        if reply.is_success:
            self.syncs.append((connector_id, reply.json()["data"]["syncId"]))

    async def _write(self, method: str, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """Repeat one write, the same each time, until it is acknowledged."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        for number in itertools.count(1):
            reply = await self._once(method, path, body, headers)
            if reply is not None and reply.status_code not in _AGAIN:
                if not reply.is_success:
                    self.strange.append(f"{method} {path}: {reply.text}")
                self.tries[number] += 1
                self.acknowledged += 1
                break
            await asyncio.sleep(_PAUSE_SECONDS)
        assert reply is not None
        return reply

    async def _once(
        self, method: str, path: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> httpx.Response | None:
        try:
            reply = await self.api.request(method, path, json=body, headers=headers)
        except httpx.TransportError:
            self.statuses[0] += 1
            return None
        self.statuses[reply.status_code] += 1
        return reply

    async def lost(self) -> list[str]:
        """Users that are not there, or not as they were last acknowledged."""
        gone: list[str] = []
        names = sorted(self.names)
        for start in range(0, len(names), 100):
            wanted = names[start : start + 100]
            reply = await self.api.get("/users:batchGet", params={"userIds": wanted})
            data: Json = reply.raise_for_status().json()["data"]
            found = {user["userId"]: user["profile"]["firstName"] for user in data["users"]}
            gone += [name for name in wanted if found.get(name) != self.names[name]]
        return gone
