"""What a session does with the refresh tokens it is given, without MongoDB and one at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

WEEK, MONTH, WINDOW = timedelta(days=7), timedelta(days=30), timedelta(seconds=60)


@dataclass(frozen=True)
class Automaton:
    began: datetime
    expires: datetime
    counter: int = 1
    rotated: datetime | None = None
    key: str | None = None
    ended: bool = False
    reused: bool = False

    def given(self, counter: int, key: str | None, now: datetime) -> tuple[Automaton, int | None]:
        """The session afterwards, and the counter of the successor; None if the session has ended."""
        if self.ended or now >= self.expires or counter > self.counter:
            return self, None
        if counter == self.counter:
            expires = min(now + WEEK, self.began + MONTH)
            return replace(
                self, counter=counter + 1, rotated=now, key=key, expires=expires
            ), counter + 1
        window = self.rotated is not None and now - self.rotated <= WINDOW
        if counter == self.counter - 1 and (window or (key is not None and key == self.key)):
            return self, self.counter
        return replace(self, ended=True, reused=True), None
