"""HTTP servers in one event loop, started and stopped as one."""

import asyncio
import errno
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

# Requests still running when the sandbox stops are cut off after this.
GRACE_SECONDS = 1
# In the `state` of a request's scope: closes its connection, with or without a reply.
HANG_UP = "hang_up"


class CannotListenError(Exception):
    """The message says where and why."""


def open_listener(host: str, port: int) -> socket.socket:
    """A socket that queues connections from now on; port 0 picks a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = "the port is taken" if error.errno == errno.EADDRINUSE else error.strerror
        raise CannotListenError(f"cannot listen on {host}:{port}: {reason}") from error
    # Connections inherit it. Without it, replies wait 40 ms for an acknowledgement; asyncio sets it
    # only on sockets that were opened with the protocol's number.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def stop_on_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)


async def serve(apps: Sequence[tuple[ASGIApp, socket.socket]], stopping: asyncio.Event) -> None:
    """Serve every application on its listener until `stopping` is set."""
    servers = [(_Server(_config(app)), listener) for app, listener in apps]
    async with asyncio.TaskGroup() as group:
        for server, listener in servers:
            group.create_task(server.serve([listener]))
        await stopping.wait()
        for server, _ in servers:
            server.should_exit = True


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Protocol,
        lifespan="off",
        ws="none",
        # Queries and paths carry tokens and session ids, so requests are not logged at all.
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


class _Protocol(H11Protocol):
    """Lets an application hang up, for which ASGI has no message."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.app_state = {**self.app_state, HANG_UP: transport.close}
        super().connection_made(transport)


class _Server(uvicorn.Server):
    """Leaves signals alone: no server may take them from the others."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
