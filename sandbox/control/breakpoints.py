"""Calls that wait before they are made or replied to, until they are released."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from sandbox.control.calls import EVERY_LOGIN, Call
from sandbox.control.connection import ClientConnection
from sandbox.control.rules import Moment


@dataclass
class Breakpoint:
    """`calls` of None stands for all. At most `times` calls are caught."""

    platform: str
    login: str
    calls: frozenset[str] | None
    at: Moment
    times: int | None
    caught: int = 0
    waiting: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def takes(self, call: Call, at: Moment) -> bool:
        return (
            (self.platform, self.at) == (call.platform, at)
            and self.login in {EVERY_LOGIN, call.login}
            and (self.calls is None or call.name in self.calls)
            and (self.times is None or self.caught < self.times)
        )

    def state(self) -> dict[str, Any]:
        return {
            "platform": self.platform,
            "login": self.login,
            "call": ["*"] if self.calls is None else sorted(self.calls),
            "at": self.at,
            "times": self.times,
            "caught": self.caught,
            "waiting": self.waiting,
        }


class Breakpoints:
    def __init__(self) -> None:
        self._breakpoints: dict[str, Breakpoint] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._breakpoints

    def put(self, name: str, point: Breakpoint) -> None:
        self._breakpoints[name] = point

    def state(self, name: str) -> dict[str, Any]:
        return self._breakpoints[name].state()

    def states(self) -> dict[str, Any]:
        return {name: point.state() for name, point in self._breakpoints.items()}

    def release(self, name: str) -> int:
        """Let all go; how many waited."""
        point = self._breakpoints.pop(name)
        point.released.set()
        return point.waiting

    def release_all(self) -> None:
        for name in list(self._breakpoints):
            self.release(name)

    async def pass_through(self, call: Call, at: Moment, connection: ClientConnection) -> None:
        """Return when no breakpoint keeps the call any longer."""
        for point in list(self._breakpoints.values()):
            if point.released.is_set() or not point.takes(call, at):
                continue
            point.caught += 1
            point.waiting += 1
            try:
                await connection.wait(point.released)
            finally:
                point.waiting -= 1
