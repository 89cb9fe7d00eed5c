"""Calls that wait before they are answered, until told to go on."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from sandbox.control.calls import EVERY_LOGIN, Call
from sandbox.control.line import Line
from sandbox.control.rules import Moment


@dataclass
class Hold:
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


class Holds:
    def __init__(self) -> None:
        self._holds: dict[str, Hold] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._holds

    def put(self, name: str, hold: Hold) -> None:
        self._holds[name] = hold

    def state(self, name: str) -> dict[str, Any]:
        return self._holds[name].state()

    def states(self) -> dict[str, Any]:
        return {name: hold.state() for name, hold in self._holds.items()}

    def release(self, name: str) -> int:
        """Let all go; how many waited."""
        hold = self._holds.pop(name)
        hold.released.set()
        return hold.waiting

    def release_all(self) -> None:
        for name in list(self._holds):
            self.release(name)

    async def pass_through(self, call: Call, at: Moment, line: Line) -> None:
        """Return when no hold keeps the call any longer."""
        for hold in list(self._holds.values()):
            if hold.released.is_set() or not hold.takes(call, at):
                continue
            hold.caught += 1
            hold.waiting += 1
            try:
                await line.wait(hold.released)
            finally:
                hold.waiting -= 1
