"""A program that posts, and is killed while it does: `python -m … URI DATABASE KILLS`.

Each try is a child of its own, killed at a moment after it has claimed the connector. It prints how many were
killed at work; the last child ends by itself.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from datetime import timedelta

from server.storage.driver import connected
from tests.domains.connectors.sync_world import World
from tests.domains.money.posting.world import Worker
from tests.storage.databases import settings

LEASE = timedelta(milliseconds=600)
LONGEST_SECONDS = 0.15  # from the claim to the kill


async def post(uri: str, name: str, claimed: int) -> None:
    async with connected(settings(uri, "pymongo", db_name=name)) as database:
        worker = Worker(World(database), LEASE)
        while await worker.feed.due_since() is not None or await _is_leased(worker):
            job = await worker.feed.claim(abandoned=True)
            if job is None:
                await asyncio.sleep(0.05)
                continue
            os.write(claimed, b".")
            await worker.poster.post(job)


async def _is_leased(worker: Worker) -> bool:
    query = {"leasedAt": {"$exists": True}}
    return await worker.feed._postings.find_one(query) is not None


def child(uri: str, name: str) -> tuple[int, int]:
    """Its process, and the end of a pipe that has a byte once it works."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(reading)
        asyncio.run(post(uri, name, writing))
        os._exit(0)
    os.close(writing)
    return pid, reading


def main(uri: str, name: str, kills: int) -> None:
    killed = 0
    for _ in range(kills):
        pid, reading = child(uri, name)
        works = os.read(reading, 1)
        time.sleep(random.uniform(0, LONGEST_SECONDS))  # noqa: S311
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        os.close(reading)
        killed += bool(works) and os.WIFSIGNALED(status)
    pid, reading = child(uri, name)
    _, status = os.waitpid(pid, 0)
    os.close(reading)
    print(killed)  # noqa: T201 - for the test
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
