"""A Finlink whose pages of metrics and whose log are looked at."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.chaos.ground import Ground, Worker, ground, worker
from tests.e2e.connector_steps import Json
from tests.observability.log import Log
from tests.providers import settings as provider_settings
from tests.stack import free_ports

# Callers have addresses of their own, so that one who calls too often is not in the way of others.
LIMITS = {
    "RATE_LIMITS": "on", "TRUSTED_PROXIES": "127.0.0.1/32", "RATE_LIMIT_MAX_REQUESTS": "1000000",
    "RATE_LIMIT_USERS": "1000000", "RATE_LIMIT_CONNECTORS": "1000000",
    "RATE_LIMIT_STATUS": "1000000", "RATE_LIMIT_SYNC": "200", "SMS_PER_HOUR": "5",
}  # fmt: skip
SYNC_LIMIT = int(LIMITS["RATE_LIMIT_SYNC"])
GONE = "gone"  # an outside provider that nothing listens for


@dataclass(frozen=True)
class Monitored:
    ground: Ground
    alone: Worker  # a server by itself, which has one connection to MongoDB
    alone_address: str
    alone_metrics: str

    @property
    def pages(self) -> Mapping[str, Sequence[str]]:
        """`HOST:PORT` of all pages, by Prometheus' job."""
        ports = self.ground.stack.ports
        own = [f"127.0.0.1:{ports['METRICS_PORT']}", self.alone_metrics]
        return {"finlink": own, "envoy": [f"127.0.0.1:{ports['ADMIN_PORT']}"]}

    @asynccontextmanager
    async def caller(self, address: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """REST through Envoy as from `address`, else from one that nobody else has."""
        if address is None:
            address = f"10.{'.'.join(str(random.randrange(256)) for _ in range(3))}"  # noqa: S311
        async with httpx.AsyncClient(
            base_url=f"{self.ground.stack.rest}/api/v1",
            headers={"x-forwarded-for": address},
            limits=httpx.Limits(max_connections=20),
            timeout=60,
        ) as client:
            yield client

    @asynccontextmanager
    async def channel(self, address: str) -> AsyncIterator[grpc.aio.Channel]:
        """gRPC past Envoy."""
        async with grpc.aio.insecure_channel(address) as channel:
            yield channel

    def worker_address(self, number: int = 0) -> str:
        return f"unix:{self.ground.stack.status()['sockets']}/worker-{number}.sock"

    async def samples(self) -> list[Sample]:
        """What the page of Finlink's own metrics has."""
        async with httpx.AsyncClient(timeout=60) as client:
            page = await client.get(f"http://{self.pages['finlink'][0]}/metrics")
        families = text_string_to_metric_families(page.text)
        return [sample for family in families for sample in family.samples]

    async def line(self, event: str, **wanted: str) -> Json:
        """The first such line of the log, which may still be on its way."""
        return await Log(self.ground.stack.log).line(event, **wanted)


@contextmanager
def monitored(folder: Path) -> Iterator[Monitored]:
    listens, shows = (f"127.0.0.1:{port}" for port in free_ports(2))
    (nobodys,) = free_ports(1)
    with ground(folder, **LIMITS, **provider_settings({GONE: nobodys})) as site:
        settings = {"METRICS_PORT": shows.partition(":")[2], "MONGO_POOL_SIZE": "1"}
        beside = replace(site, settings={**site.settings, **settings})
        with worker(beside, "alone", "serve", "--no-syncs", "--listen", listens) as alone:
            yield Monitored(site, alone, listens, shows)
