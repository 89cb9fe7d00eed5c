"""Keeps Envoy's access log from filling the disk."""

import asyncio
from contextlib import suppress
from pathlib import Path

from server.edge.probes import http

LIMIT = 100 * 1024 * 1024  # bytes; as much again is kept in the former one
LOOKED_AT_EACH = 30.0  # seconds


async def keep_short(log: Path, admin_port: int) -> None:
    """Look at the log now and then, for as long as Envoy runs."""
    while True:
        await asyncio.sleep(LOOKED_AT_EACH)
        with suppress(OSError):  # an Envoy that is being started again opens the file by itself
            await shorten(log, admin_port, LIMIT)


async def shorten(log: Path, admin_port: int, limit: int) -> None:
    """Put the log aside when it is longer than `limit` bytes, over the one put aside before."""
    if put_aside(log, limit):
        await http("POST", admin_port, "/reopen_logs")


def put_aside(log: Path, limit: int) -> bool:
    is_long = log.exists() and log.stat().st_size > limit
    if is_long:
        log.replace(log.with_suffix(".log.1"))
    return is_long
