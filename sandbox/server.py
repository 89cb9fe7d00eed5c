"""Two HTTP servers in one event loop, started and stopped as one."""

import asyncio
import errno
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

# Requests still running when the sandbox stops are cut off after this.
GRACE_SECONDS = 1


class CannotListenError(Exception):
    """The message says where and why."""


def open_listener(host: str, port: int) -> socket.socket:
    """A socket that queues connections from now on; port 0 picks a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = "the port is taken" if error.errno == errno.EADDRINUSE else error.strerror
        raise CannotListenError(f"cannot listen on {host}:{port}: {reason}") from error


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
        lifespan="off",
        ws="none",
        # Queries and paths carry tokens and session ids, so requests are not logged at all.
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


class _Server(uvicorn.Server):
    """Leaves signals alone: with two servers, neither may take them from the other."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
