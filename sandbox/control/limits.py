"""The platforms' own limits: how many calls came too close together."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sandbox.control.calls import Call
from sandbox.control.rules import LimitsBody

_SECOND = 1.0


class Limits:
    """Seconds here are real ones, of a clock that nobody turns."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self.settings = LimitsBody()
        self._accepted: dict[str, deque[float]] = {}
        self._under_way: Counter[str] = Counter()
        self.reset_counts()

    def reset_counts(self) -> None:
        self._arrived: dict[str, deque[float]] = {}
        self._busiest_second: dict[str, int] = {}
        self._refused = 0
        self._most_at_once = 0
        self._violations = 0

    def refuses(self, call: Call) -> bool:
        """Count an arrival; whether it is one too many in the second before it."""
        key = call.rate_key
        if key is None:
            return False
        now = self._monotonic()
        busy = _last_second(self._arrived, key, now)
        busy.append(now)
        self._busiest_second[key] = max(self._busiest_second.get(key, 0), len(busy))
        accepted = _last_second(self._accepted, key, now)
        allowed = self.settings.kite_per_second
        if allowed is not None and len(accepted) >= allowed:
            self._refused += 1
            return True
        accepted.append(now)
        return False

    @contextmanager
    def turn(self, call: Call) -> Iterator[None]:
        """Count calls of one session that are under way at the same time."""
        key = call.turn_key
        if key is None:
            yield
            return
        self._under_way[key] += 1
        at_once = self._under_way[key]
        self._most_at_once = max(self._most_at_once, at_once)
        allowed = self.settings.fi_concurrent_per_session
        if allowed is not None and at_once > allowed:
            self._violations += 1
        try:
            yield
        finally:
            self._under_way[key] -= 1
            if not self._under_way[key]:
                del self._under_way[key]

    def report(self) -> dict[str, Any]:
        return {
            "kite_busiest_second": self._busiest_second,
            "kite_refused": self._refused,
            "fi_most_at_once": self._most_at_once,
            "fi_concurrent_violations": self._violations,
        }


def _last_second(windows: dict[str, deque[float]], key: str, now: float) -> deque[float]:
    window = windows.setdefault(key, deque())
    while window and window[0] <= now - _SECOND:
        window.popleft()
    return window
