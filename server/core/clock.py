"""The time that the product goes by.

Due times, expiries and the fields that TTL indexes read come from here. Leases do not: they go by MongoDB's
clock, which is the same for all who contend for one.
"""

import mmap
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path


class Clock:
    """UTC to the millisecond, as MongoDB keeps it."""

    def __init__(self) -> None:
        self._ahead: Sequence[int] = (0,)  # milliseconds

    def now(self) -> datetime:
        now = datetime.now(UTC) + timedelta(milliseconds=self._ahead[0])
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def timestamp(self) -> float:
        """The same in seconds since 1970: a tenth of the cost, for what each call asks."""
        return time.time() + self._ahead[0] / 1000

    def follow(self, path: Path) -> None:
        """Be ahead of the machine's clock by what the 8 bytes of a file say at each moment, in milliseconds.

        Tests write it, and all processes map it. Raises OSError, and ValueError for a smaller file.
        """
        with path.open("rb") as file:
            self._ahead = memoryview(mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)).cast("q")


def milliseconds(duration: timedelta) -> int:
    """As MongoDB counts."""
    return duration // timedelta(milliseconds=1)


CLOCK = Clock()  # of this process
utc_now = CLOCK.now
