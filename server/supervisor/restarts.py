"""Whether and when a piece that died is started again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

FIRST_DELAY = 0.1
LONGEST_DELAY = 5.0
STABLE = 30.0  # having been ready this long, a piece starts over with the first delay
DEATHS = 5
WINDOW = 60.0


@dataclass
class Restarts:
    """The deaths of one piece. Times are seconds of any clock that only goes forward."""

    _deaths: deque[float] = field(default_factory=deque)
    _delay: float = FIRST_DELAY

    def delay_after_death(self, now: float, lived: float) -> float | None:
        """Seconds until the next start; None at the fifth death within the window: give up.

        `lived` is how long the piece had been ready when it died.
        """
        self._deaths.append(now)
        while now - self._deaths[0] >= WINDOW:
            self._deaths.popleft()
        if len(self._deaths) >= DEATHS:
            return None
        delay = FIRST_DELAY if lived >= STABLE else self._delay
        self._delay = min(delay * 2, LONGEST_DELAY)
        return delay
