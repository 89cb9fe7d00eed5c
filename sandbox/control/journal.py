"""The log of calls, newest kept, and counts of all since the last reset. It holds no secrets."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from sandbox.clock import Clock
from sandbox.control.calls import Call

KEPT = 100_000


@dataclass
class Entry:
    id: int
    call: Call
    at: datetime
    real_at: float
    faults: list[str] = field(default_factory=list)
    # Whether the platform itself did its part, replied or not.
    done: bool = False
    status: int | None = None
    refusal: str | None = None
    outcome: Literal["replied", "dropped", "left", "crashed"] | None = None
    real_end: float | None = None
    request_id: str | None = None  # as the caller sent it

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "at": self.at.isoformat(),
            "real_at": self.real_at,
            "real_end": self.real_end,
            "platform": self.call.platform,
            "api_key": self.call.api_key,
            "login": self.call.login,
            "call": self.call.name,
            "status": self.status,
            "refusal": self.refusal,
            "outcome": self.outcome,
            "done": self.done,
            "faults": self.faults,
            "request_id": self.request_id,
        }


@dataclass(frozen=True)
class Filter:
    """None takes any."""

    platform: str | None = None
    login: str | None = None
    api_key: str | None = None
    call: str | None = None

    def takes(self, call: Call) -> bool:
        return (
            self.platform in {None, call.platform}
            and self.login in {None, call.login}
            and self.api_key in {None, call.api_key}
            and self.call in {None, call.name}
        )


class Journal:
    def __init__(self, clock: Clock, kept: int = KEPT) -> None:
        self._clock = clock
        # Real times are steady, and comparable with those of other processes.
        self._epoch = time.time() - time.monotonic()
        self._entries: deque[Entry] = deque(maxlen=kept)
        self._next_id = 1
        self.reset()

    def reset(self) -> None:
        self._entries.clear()
        self._first_id = self._next_id
        self._counts: Counter[Call] = Counter()
        self._statuses: dict[Call, Counter[int]] = {}

    def arrived(self, call: Call) -> Entry:
        entry = Entry(self._next_id, call, self._clock.now(), self._real_ms())
        self._next_id += 1
        self._entries.append(entry)
        self._counts[_public(call)] += 1
        return entry

    def replied(self, entry: Entry, status: int, refusal: str | None = None) -> None:
        entry.status = status
        entry.refusal = refusal
        self.ended(entry, "replied")
        if entry.id >= self._first_id:
            self._statuses.setdefault(_public(entry.call), Counter())[status] += 1

    def ended(
        self, entry: Entry, outcome: Literal["replied", "dropped", "left", "crashed"]
    ) -> None:
        entry.outcome = outcome
        entry.real_end = self._real_ms()

    def report(self, wanted: Filter, after: int, limit: int) -> dict[str, Any]:
        """`after`: an entry's id; of the entries that follow it, the oldest `limit`."""
        counts: Counter[str] = Counter()
        for call, number in self._counts.items():
            if wanted.takes(call):
                counts[call.name] += number
        statuses: dict[str, Counter[str]] = {}
        for call, numbers in self._statuses.items():
            if wanted.takes(call):
                of_call = statuses.setdefault(call.name, Counter())
                of_call.update({str(status): number for status, number in numbers.items()})
        found = [e for e in self._entries if e.id > after and wanted.takes(e.call)]
        return {
            "counts": counts,
            "statuses": statuses,
            "calls": [entry.shown() for entry in found[:limit]],
            "discarded": self._next_id - self._first_id - len(self._entries),
        }

    def _real_ms(self) -> float:
        return round((self._epoch + time.monotonic()) * 1000, 3)


def _public(call: Call) -> Call:
    """A call without the parts that distinguish one session from another."""
    return replace(call, session_key=None)
