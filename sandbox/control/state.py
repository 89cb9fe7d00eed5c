"""All that the control API turns, in one place."""

import asyncio

from sandbox.clock import TurnableClock
from sandbox.control.breakpoints import Breakpoints
from sandbox.control.calls import EVERY_LOGIN, Call
from sandbox.control.faults import Faults
from sandbox.control.journal import Journal
from sandbox.control.limits import Limits


class Sold:
    """The holdings that each login has sold, by ISIN or symbol."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], frozenset[str]] = {}

    def put(self, platform: str, login: str, names: frozenset[str]) -> None:
        self._names[platform, login] = names

    def at(self, platform: str, login: str) -> frozenset[str]:
        return self._names.get((platform, login), frozenset())

    def of(self, call: Call) -> frozenset[str]:
        own = frozenset() if call.login is None else self.at(call.platform, call.login)
        return own | self.at(call.platform, EVERY_LOGIN)

    def clear(self) -> None:
        self._names.clear()


class Control:
    def __init__(self, clock: TurnableClock, seed: int, stopping: asyncio.Event) -> None:
        self.clock = clock
        self.stopping = stopping
        self.journal = Journal(clock)
        self.faults = Faults(seed)
        self.breakpoints = Breakpoints()
        self.limits = Limits()
        self.sold = Sold()

    def reset(self) -> None:
        """Everything as at the start, sessions apart."""
        self.clock.be_real()
        self.faults.clear_all()
        self.breakpoints.release_all()
        self.limits.settings = {}
        self.sold.clear()
        self.reset_counts()

    def reset_counts(self) -> None:
        self.journal.reset()
        self.limits.reset_counts()
