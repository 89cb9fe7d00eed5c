"""Whether and when a process that crashed is started again."""

from collections import deque
from dataclasses import dataclass, field

FIRST_DELAY = 0.1
LONGEST_DELAY = 5.0
STABLE = 30.0  # after this long in readiness, delays begin with the first again
MAX_CRASHES = 5
WINDOW = 60.0


@dataclass
class Restarts:
    """When one process crashed, in seconds of any monotonic clock."""

    _crashes: deque[float] = field(default_factory=deque)
    _delay: float = FIRST_DELAY

    def delay_after_crash(self, now: float, ready_for: float) -> float | None:
        """Seconds until the next start; None at the fifth crash within the window: no further start.

        `ready_for` is how long the process had been ready.
        """
        self._crashes.append(now)
        while now - self._crashes[0] >= WINDOW:
            self._crashes.popleft()
        if len(self._crashes) >= MAX_CRASHES:
            return None
        delay = FIRST_DELAY if ready_for >= STABLE else self._delay
        self._delay = min(delay * 2, LONGEST_DELAY)
        return delay
