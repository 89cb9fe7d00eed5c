"""Envoy takes no new requests and finishes those it has."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

from server.supervisor.probes import http, until

REQUESTS = "downstream_rq_active"
LONGEST = 5.0  # streams that watch for changes would go on; the workers end those
ACTIVE = re.compile(r"^http\.(?!admin\.).*downstream_(?:rq|cx)_active: (\d+)$", re.MULTILINE)


async def drain(admin_port: int, *, connections: bool = False) -> None:
    """Return when no request is under way in Envoy, or after a few seconds.

    With `connections`, when no connection is left either: one Envoy of several is replaced while its
    clients go on, and whatever they send before they are told to leave must be served.

    First the ports are closed: a client's next connection is refused, which tells it that nothing
    was carried out. Then every answer says `connection: close` (GOAWAY in HTTP/2). In the other
    order clients come back at once, into a queue of connections that is thrown away a moment later.
    """
    with suppress(OSError):  # TimeoutError is one; an Envoy that is gone needs no draining
        await http("POST", admin_port, "/drain_listeners")
        await http("POST", admin_port, "/healthcheck/fail")
        async with asyncio.timeout(LONGEST):

            async def idle() -> bool:
                return (
                    await _active(admin_port, "downstream_cx_active" if connections else REQUESTS)
                    == 0
                )

            await until(idle)


async def active_requests(admin_port: int) -> int:
    return await _active(admin_port, REQUESTS)


async def _active(admin_port: int, what: str) -> int:
    _, stats = await http("GET", admin_port, f"/stats?filter={what}")
    return sum(int(count) for count in ACTIVE.findall(stats))
