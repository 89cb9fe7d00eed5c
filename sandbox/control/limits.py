"""The platforms' own limits: how many calls came too close together."""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sandbox.control.calls import Call
from sandbox.control.rules import LimitsBody

_SECOND = 1.0


@dataclass
class Counts:
    """The calls to one platform since the last reset."""

    arrived: dict[str, deque[float]] = field(default_factory=dict)
    busiest_second: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    most_at_once: int = 0
    concurrent_violations: int = 0

    def shown(self) -> dict[str, Any]:
        return {
            "busiest_second": self.busiest_second,
            "refused": self.refused,
            "most_at_once": self.most_at_once,
            "concurrent_violations": self.concurrent_violations,
        }


class Limits:
    """Seconds here are real ones, of a clock that nobody sets."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self.settings: Mapping[str, LimitsBody] = {}
        self._accepted: dict[tuple[str, str], deque[float]] = {}
        self._under_way: Counter[tuple[str, str]] = Counter()
        self.reset_counts()

    def reset_counts(self) -> None:
        self._counts: defaultdict[str, Counts] = defaultdict(Counts)

    def of(self, platform: str) -> LimitsBody:
        return self.settings.get(platform) or LimitsBody()

    def refuses(self, call: Call) -> bool:
        """Count an arrival; whether it is one too many in the second before it."""
        key = call.rate_key
        if key is None:
            return False
        now = self._monotonic()
        counts = self._counts[call.platform]
        busy = _last_second(counts.arrived.setdefault(key, deque()), now)
        busy.append(now)
        counts.busiest_second[key] = max(counts.busiest_second.get(key, 0), len(busy))
        accepted = _last_second(self._accepted.setdefault((call.platform, key), deque()), now)
        allowed = self.of(call.platform).per_second
        if allowed is not None and len(accepted) >= allowed:
            counts.refused += 1
            return True
        accepted.append(now)
        return False

    @contextmanager
    def within_session(self, call: Call) -> Iterator[None]:
        """Count calls of one session that are under way at the same time."""
        if call.session_key is None:
            yield
            return
        key = call.platform, call.session_key
        counts = self._counts[call.platform]
        self._under_way[key] += 1
        at_once = self._under_way[key]
        counts.most_at_once = max(counts.most_at_once, at_once)
        allowed = self.of(call.platform).concurrent_per_session
        if allowed is not None and at_once > allowed:
            counts.concurrent_violations += 1
        try:
            yield
        finally:
            self._under_way[key] -= 1
            if not self._under_way[key]:
                del self._under_way[key]

    def report(self, platform: str) -> dict[str, Any]:
        return self._counts[platform].shown()


def _last_second(window: deque[float], now: float) -> deque[float]:
    while window and window[0] <= now - _SECOND:
        window.popleft()
    return window
