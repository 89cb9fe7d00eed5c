"""Three mongod, two hosts with servers and a worker, and two Envoys before them, as plain processes."""

from __future__ import annotations

import secrets
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from server.domains.connectors.connections.sessions import SessionVault
from server.edge.probes import port_open, until
from server.edge.programs import find_mongod
from server.security.keys import ring_of
from server.security.ring import KeyRing
from server.storage.data_keys import DataKeyStore
from server.storage.driver import Database
from tests.edge.pki import Authority, authority
from tests.platforms.addresses import addresses_at
from tests.sandbox import driver
from tests.sandbox.accounts import APPROVED, Accounts, accounts_at
from tests.sandbox.driver import API_KEY, API_SECRET, INBOX, delivery_at
from tests.stack import free_ports
from tests.topology.nodes import Node

HOSTS = 2
ENVOYS = 2
ELECTION_MILLIS = 2_000


@dataclass(frozen=True)
class MongoDb:
    """Where the data is: what the ledger and the herd of the chaos tests ask of a stack."""

    mongodb_uri: str
    ports: Sequence[int]

    async def primary(self) -> int | None:
        """The port of the primary, where there is one."""
        for port in self.ports:
            hello = await _hello(port)
            if hello.get("isWritablePrimary"):
                return port
        return None

    async def has_primary(self) -> bool:
        return await self.primary() is not None


@dataclass(frozen=True)
class Plant:
    """All of it, running. `settings` are those of every server and worker."""

    stack: MongoDb
    sandbox: Accounts
    settings: Mapping[str, str]
    nodes: Sequence[Node]
    envoys: Sequence[Mapping[str, str]]  # the settings of each

    @property
    def rests(self) -> list[str]:
        return [f"http://127.0.0.1:{envoy['PORT']}" for envoy in self.envoys]

    def of(self, kind: str) -> list[Node]:
        return [node for node in self.nodes if node.kind == kind]

    def vault(self, database: Database) -> SessionVault:
        """Seals as the servers do."""
        key = bytes.fromhex(self.settings["ENCRYPTION_KEY"])
        return SessionVault(DataKeyStore(database, KeyRing(ring_of({}, key))))

    async def primary(self) -> Node:
        """The mongod that is primary, once there is one."""
        found: list[Node] = []

        async def look() -> bool:
            port = await self.stack.primary()
            found[:] = [node for node in self.of("mongod") if node.name == f"mongod-{port}"]
            return bool(found)

        await until(look)
        return found[0]

    async def whole(self) -> None:
        """Once every process is up and every Envoy sends to every server."""
        for node in self.nodes:
            await node.until_ready()
        for envoy in self.envoys:
            await until(partial(_sends_to, envoy["ADMIN_PORT"], len(self.of("server"))))


@asynccontextmanager
async def mongodb(folder: Path) -> AsyncIterator[tuple[MongoDb, list[Node]]]:
    """A replica set of three."""
    ports = free_ports(3)
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    database = MongoDb(
        f"mongodb://{hosts}/financial_app?replicaSet=rs0&readPreference=primaryPreferred", ports
    )
    nodes = [_mongod(folder, port) for port in ports]
    with ExitStack() as stack:
        for node in nodes:
            stack.callback(node.end)
            node.start()
        await _initiate(ports)
        for node in nodes:
            await node.until_ready()
        await until(database.has_primary)
        yield database, nodes


@asynccontextmanager
async def plant(folder: Path, servers_a_host: int) -> AsyncIterator[Plant]:
    """Start everything; end it at the end, without any order."""
    with (
        driver.running("--option", APPROVED, "--control-port", 0, *INBOX) as sandbox,
        accounts_at(sandbox) as accounts,
    ):
        async with mongodb(folder) as (database, mongods):
            settings = {
                "MONGODB_URI": database.mongodb_uri,
                "MONGO_TIMEOUT_MS": "5000",  # as in deploy/: most elections fit into it
                "ENCRYPTION_KEY": secrets.token_hex(32),
                **addresses_at(sandbox.urls),
                **delivery_at(sandbox),
                "ZERODHA_API_KEY": API_KEY,
                "ZERODHA_API_SECRET": API_SECRET,
            }
            pki = authority(folder / "pki", "inside")
            listeners = free_ports(HOSTS * servers_a_host)
            servers = [_server(folder, n, {**settings, **_tls(pki, "server")}) for n in listeners]
            workers = [_worker(folder, number, settings) for number in range(HOSTS)]
            envoys = [_edge_settings(folder, n, _tls(pki, "envoy")) for n in range(ENVOYS)]
            edges = [_edge(folder, env, listeners) for env in envoys]
            made = Plant(
                database, accounts, settings, [*mongods, *servers, *workers, *edges], envoys
            )
            with ExitStack() as stack:
                for node in (*servers, *workers, *edges):
                    stack.callback(node.end)
                # One first: it makes the indexes.
                servers[0].start()
                await servers[0].until_ready()
                for node in (*servers[1:], *workers, *edges):
                    node.start()
                await made.whole()
                yield made


def _mongod(folder: Path, port: int) -> Node:
    data = folder / f"mongo-{port}"
    data.mkdir()
    argv: list[str | Path] = [
        find_mongod(), "--replSet", "rs0", "--bind_ip", "127.0.0.1", "--port", str(port), "--dbpath", data,
        "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "128", "--nounixsocket",
        "--setParameter", "transactionLifetimeLimitSeconds=5",
    ]  # fmt: skip

    async def ready(_: Node) -> bool:
        hello = await _hello(port)
        return bool(hello.get("isWritablePrimary") or hello.get("secondary"))

    return Node("mongod", f"mongod-{port}", argv, {}, folder / f"mongod-{port}.log", ready)


async def _initiate(ports: Sequence[int]) -> None:
    for port in ports:
        await until(partial(port_open, port))
    members = [{"_id": n, "host": f"127.0.0.1:{port}"} for n, port in enumerate(ports)]
    settings = {"electionTimeoutMillis": ELECTION_MILLIS}
    config = {"_id": "rs0", "members": members, "settings": settings}
    address = f"mongodb://127.0.0.1:{ports[0]}/?directConnection=true"
    async with AsyncMongoClient[dict[str, Any]](address) as client:
        await client.admin.command({"replSetInitiate": config})


async def _hello(port: int) -> dict[str, Any]:
    """What the member says of itself; nothing while it is down."""
    if not await port_open(port):
        return {}
    address = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    async with AsyncMongoClient[dict[str, Any]](address) as client:
        try:
            return await client.admin.command("hello")
        except PyMongoError:
            return {}


def _server(folder: Path, port: int, settings: Mapping[str, str]) -> Node:
    listen = f"127.0.0.1:{port}"
    argv = [sys.executable, "-m", "server", "serve", "--no-syncs", "--listen", listen]

    async def ready(_: Node) -> bool:
        return await port_open(port)

    return Node("server", f"server-{port}", argv, settings, folder / f"server-{port}.log", ready)


def _worker(folder: Path, number: int, settings: Mapping[str, str]) -> Node:
    async def ready(node: Node) -> bool:
        return node.log.read_text(errors="replace").count('"worker serving"') >= node.starts

    argv = [sys.executable, "-m", "server", "worker"]
    return Node(
        "worker", f"worker-{number}", argv, settings, folder / f"worker-{number}.log", ready
    )


def _edge_settings(folder: Path, number: int, tls: Mapping[str, str]) -> dict[str, str]:
    names = ("PORT", "TLS_PORT", "GRPC_PORT", "ADMIN_PORT")
    ports = {name: str(port) for name, port in zip(names, free_ports(4), strict=True)}
    return {**ports, **tls, "DATA_DIR": str(folder / f"edge-{number}"), "RATE_LIMITS": "off"}


def _edge(folder: Path, settings: Mapping[str, str], listeners: Sequence[int]) -> Node:
    targets = [f"127.0.0.1:{port}" for port in listeners]
    name = f"envoy-{settings['PORT']}"

    async def ready(_: Node) -> bool:
        try:
            async with httpx.AsyncClient() as client:
                reply = await client.get(f"http://127.0.0.1:{settings['PORT']}/ready")
        except httpx.TransportError:
            return False
        return reply.status_code == 200

    argv = [sys.executable, "-m", "server", "edge", *targets]
    return Node("envoy", name, argv, settings, folder / f"{name}.log", ready)


async def _sends_to(admin_port: str, count: int) -> bool:
    name = "cluster.finlink.membership_healthy"
    async with httpx.AsyncClient() as client:
        reply = await client.get(
            f"http://127.0.0.1:{admin_port}/stats", params={"filter": f"^{name}$"}
        )
    return int(reply.text.partition(":")[2]) == count


def _tls(pki: Authority, name: str) -> dict[str, str]:
    mine = pki.issue(f"{name}-{secrets.token_hex(4)}")
    return {
        "SERVER_TLS_CERT": str(mine.chain),
        "SERVER_TLS_KEY": str(mine.key),
        "SERVER_TLS_CA": str(pki.file),
    }
