"""Limits of calls by user, shared by the workers of a host.

The generic cell rate algorithm: a user has one number for each limit, the time at which the allowance is
whole again. A call moves it on by the interval between two calls at the limit's rate; one that would move it
further ahead than an hour is refused. So an allowance comes back evenly, all the time, and nothing is reset.
"""

import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from server.cache.shared_numbers import shared_numbers

# Users of one place share their limits. The table is so large that this is rare: of 10,000 users who call
# within an hour, one in a hundred shares a place with another one, and nearly all of these stay below the
# limit together. A file takes up as much as was written, 16 MiB at most.
PLACES = 1 << 20
KINDS = 2  # of limits that a user has

_HOUR = 3600 * 10**9  # nanoseconds
# The clock begins at 0 when the machine starts. A time so far ahead is of a run before that.
_NEVER = 2 * _HOUR


@dataclass(frozen=True, slots=True)
class Limit:
    """So many calls an hour; the first of them may come at once."""

    kind: int  # which number of the user's it has
    interval: int  # nanoseconds between two calls
    most: int  # nanoseconds that a whole allowance is worth

    @classmethod
    def per_hour(cls, kind: int, calls: int) -> "Limit":
        interval = _HOUR // calls
        return cls(kind, interval, interval * calls)


class RateLimiter:
    """Counts in the file at `path`, which is made if there is none; without a path, calls of this process.

    There are no locks. If two workers count calls of one user within the same microsecond, one overwrites
    what the other has counted. So a user can make a call more now and then; none is refused for that.

    Raises OSError.
    """

    def __init__(
        self, path: Path | None = None, now: Callable[[], int] = time.monotonic_ns
    ) -> None:
        """`now` is in nanoseconds, and the same for all processes of the host."""
        self._times = shared_numbers(path, PLACES * KINDS)
        self._now = now

    def take(self, user: str, limits: Sequence[Limit]) -> int:
        """Count a call of a `User.id` against all of these limits.

        Returns 0. If a limit is reached, nothing is counted, and it returns the nanoseconds until this limit
        lets the call pass.
        """
        times, now = self._times, self._now()
        first = zlib.crc32(user.encode()) % PLACES * KINDS
        counted = []
        for limit in limits:
            place = first + limit.kind
            whole_at = times[place]
            if whole_at < now or whole_at > now + _NEVER:
                whole_at = now
            whole_at += limit.interval
            if whole_at > now + limit.most:
                return whole_at - now - limit.most
            counted.append((place, whole_at))
        for place, whole_at in counted:
            times[place] = whole_at
        return 0
