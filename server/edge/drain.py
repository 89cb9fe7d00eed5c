"""Envoy takes no new requests and finishes those it has."""

import asyncio
import re
from contextlib import suppress
from functools import partial

from server.edge.probes import http, port_open, until

REQUESTS, CONNECTIONS = "downstream_rq_active", "downstream_cx_active"
CLOSING = 2.0  # of the ports, unless something else listens there too
LONGEST = 5.0  # streams that watch for changes would go on; the workers end those
ACTIVE = re.compile(r"^http\.(?!admin\.).*downstream_(?:rq|cx)_active: (\d+)$", re.MULTILINE)
LISTENER = re.compile(r"::\[?([0-9a-f.:]+?)\]?:(\d+)$", re.MULTILINE)
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - sent, not listened on


async def drain(admin_port: int, *, connections: bool = False) -> None:
    """Return when no request is under way in Envoy, or after a few seconds.

    With `connections`, when no connection is left either: one Envoy of several is replaced while its
    clients go on, and everything they send before they are asked to disconnect must be served.

    First the ports are closed: a client's next connection is refused, which shows that nothing was carried
    out. Then every reply says `connection: close` (GOAWAY in HTTP/2). In the other order clients come back at
    once, into a queue of connections that is thrown away a moment later. Each of Envoy's threads closes its
    own part of a port when it comes to it, after Envoy has replied; so the ports are tried until nobody takes
    connections any more.
    """
    with suppress(OSError):  # TimeoutError is one; an Envoy that is gone needs no draining
        async with asyncio.timeout(LONGEST):
            addresses = LISTENER.findall(await _ask("GET", admin_port, "/listeners"))
            await _ask("POST", admin_port, "/drain_listeners")
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSING):
                    for host, port in addresses:
                        await until(partial(_refuses, ANY_ADDRESS.get(host, host), int(port)))
            await _ask("POST", admin_port, "/healthcheck/fail")

            async def idle() -> bool:
                return await active(admin_port, CONNECTIONS if connections else REQUESTS) == 0

            await until(idle)


async def _refuses(host: str, port: int) -> bool:
    return not await port_open(port, host)


async def active(admin_port: int, what: str) -> int:
    stats = await _ask("GET", admin_port, f"/stats?filter={what}")
    return sum(int(count) for count in ACTIVE.findall(stats))


async def _ask(method: str, admin_port: int, path: str) -> str:
    """Envoy's reply; on a busy machine the first attempt may fail."""
    while True:
        with suppress(TimeoutError):
            return (await http(method, admin_port, path))[1]
