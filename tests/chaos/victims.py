"""Servers that die between a commit and its reply."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from server.edge.probes import serving
from tests.chaos.ground import Ground, worker
from tests.chaos.wire import Wire, wire


@asynccontextmanager
async def victim(site: Ground, name: str) -> AsyncIterator[tuple[Wire, grpc.aio.Channel]]:
    """A server whose way to MongoDB is in the test's hand; it dies where the wire stops."""
    address = f"unix:{site.stack.data_dir / name}.sock"
    arguments = ("serve", "--listen", address, "--no-syncs")
    async with wire(site.stack.ports["MONGO_PORT"]) as way:
        with worker(site, name, *arguments, mongodb_uri=way.uri) as process:
            async with asyncio.timeout(60):
                while not await serving(address):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.05)

            async def die() -> None:
                await way.reached.wait()
                process.kill()

            death = asyncio.create_task(die())
            async with grpc.aio.insecure_channel(address) as channel:
                try:
                    yield way, channel
                    assert way.reached.is_set(), "the call has not come to its commit"
                    await death
                finally:
                    death.cancel()
