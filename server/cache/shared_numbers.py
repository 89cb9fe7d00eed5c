"""8-byte numbers in memory that the processes of a host share.

A number is written and read as a whole, as processors do with aligned words, so there are no locks.
"""

import errno
import mmap
from pathlib import Path


def shared_numbers(path: Path | None, count: int) -> memoryview:
    """The numbers of the file at `path`, all 0 if it is not there yet; of one process without a path.

    Raises OSError, also for a file of another size.
    """
    size = 8 * count
    if path is None:
        return memoryview(mmap.mmap(-1, size)).cast("Q")
    with path.open("a+b") as file:
        if file.seek(0, 2) not in {0, size}:
            raise OSError(errno.EINVAL, "it is a file of something else")
        file.truncate(size)
        return memoryview(mmap.mmap(file.fileno(), size)).cast("Q")
