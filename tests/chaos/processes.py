"""Server processes beside those of a ground, called past Envoy: so that a test knows which one it calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from finlink.connectors.v1.connector_service_pb2_grpc import ConnectorServiceStub
from finlink.connectors.v1.session_pb2 import RefreshSessionRequest, RefreshSessionResponse
from google.protobuf.json_format import MessageToDict

from tests.chaos.ground import Ground, Worker, worker
from tests.e2e.connector_steps import Json
from tests.stack import free_ports


@asynccontextmanager
async def process(site: Ground) -> AsyncIterator[tuple[Worker, grpc.aio.Channel]]:
    """One more server process, called past Envoy."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    with worker(site, f"refresher-{port}", "serve", "--listen", address, "--no-syncs") as started:
        # On a slow machine it is long in coming, and gRPC would ask for it more and more seldom.
        options = [("grpc.max_reconnect_backoff_ms", 1000)]
        async with grpc.aio.insecure_channel(address, options) as channel:
            await asyncio.wait_for(channel.channel_ready(), 120)
            yield started, channel


async def refresh_grpc(channel: grpc.aio.Channel, connector_id: str) -> Json:
    request = RefreshSessionRequest(connector_id=connector_id)
    reply: RefreshSessionResponse = await ConnectorServiceStub(channel).RefreshSession(
        request, timeout=60
    )
    data: Json = MessageToDict(reply.data)
    return data
