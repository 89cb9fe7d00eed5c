"""Checks that are made before anything is started."""

import asyncio
import errno
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from server.config import ConfigError, Settings
from server.edge.errors import StartError
from server.edge.probes import until
from server.edge.settings import EdgeSettings
from server.storage.address import members_of, unusable
from server.supervisor import mongod
from server.supervisor.specs import inbox_ports, sandbox_ports

REPLY_TIMEOUT_MS = 3_000
MONGOD_END_TIMEOUT = 20.0  # as in a stop


@dataclass(frozen=True)
class Listener:
    """A port that Finlink is about to listen on."""

    what: str
    setting: str
    host: str
    port: int


def listeners(
    settings: Settings, *, metrics: int = 0, embedded: bool = False, sandbox: bool = False
) -> list[Listener]:
    """All ports of this run; `metrics` is theirs, 0 if they are not served."""
    edge = settings.of(EdgeSettings)
    found = [] if edge.http == "off" else [Listener("REST", "PORT", edge.address, edge.port)]
    if edge.tls_cert is not None or not edge.production:
        found.append(Listener("HTTPS", "TLS_PORT", edge.address, edge.tls_port))
    found += [
        Listener("gRPC", "GRPC_PORT", edge.address, edge.grpc_port),
        Listener("Envoy's admin", "ADMIN_PORT", "127.0.0.1", edge.admin_port),
    ]
    if metrics:
        found.append(Listener("metrics", "METRICS_PORT", settings.metrics_host, metrics))
    if embedded:
        found.append(Listener("MongoDB", "MONGO_PORT", "127.0.0.1", settings.mongo_port))
    if sandbox:
        for name, port in sandbox_ports(settings).items():
            setting = f"{name}_SANDBOX_PORT".upper()
            found.append(Listener(f"the sandbox's {name}", setting, "127.0.0.1", port))
        for name, port in inbox_ports(settings).items():
            setting = f"SANDBOX_{name}_PORT".upper()
            found.append(Listener(f"the sandbox's {name}", setting, "127.0.0.1", port))
        if port := settings.sandbox_control_port:
            what = "the sandbox's control API"
            found.append(Listener(what, "SANDBOX_CONTROL_PORT", "127.0.0.1", port))
    return found


def check_ports(wanted: Sequence[Listener]) -> None:
    """Raise StartError for the first port that cannot be used.

    Envoy would not notice: it binds with SO_REUSEPORT, so that two Envoys would share a port, and each
    would get half of the requests.
    """
    seen: dict[int, Listener] = {}
    for listener in wanted:
        if other := seen.get(listener.port):
            raise StartError(
                f"Port {listener.port} is set twice: {other.setting} ({other.what}) and "
                f"{listener.setting} ({listener.what}). Give each its own."
            )
        seen[listener.port] = listener
        _check_port(listener)


def _check_port(listener: Listener) -> None:
    what, setting, port = listener.what, listener.setting, listener.port
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Otherwise the port of a server that has just stopped would look used for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listener.host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise StartError(
                    f"Port {port} is in use ({what}). "
                    f"Set {setting} to a free port, or stop the program that uses this one."
                ) from None
            if error.errno == errno.EACCES:
                raise StartError(
                    f"This user may not listen on port {port} ({what}). "
                    f"Set {setting} to a port above 1023."
                ) from None
            address = "METRICS_HOST" if setting == "METRICS_PORT" else "HOST"
            raise StartError(
                f"Cannot listen on {listener.host}:{port} ({what}): {error.strerror or error}. "
                f"Set {address} to an address of this machine."
            ) from None


async def check_mongodb(uri: str) -> None:
    """Raise StartError unless a replica set (or a sharded cluster) replies at this address."""
    try:
        members = members_of(uri)
    except ConfigError as error:
        raise StartError(str(error)) from None
    where = ", ".join(f"{host}:{port}" for host, port in members)  # never the user or password
    try:
        client: AsyncMongoClient[dict[str, object]] = AsyncMongoClient(
            uri, serverSelectionTimeoutMS=REPLY_TIMEOUT_MS, connectTimeoutMS=REPLY_TIMEOUT_MS
        )
    except Exception as error:  # noqa: BLE001 - it has many kinds for a wrong address
        raise StartError(unusable(error)) from None
    async with client:
        try:
            hello = await client.admin.command("hello")
        except OperationFailure as error:
            raise StartError(
                f"MongoDB at {where} refuses the user or password of MONGODB_URI "
                f"(error {error.code})."
            ) from None
        except PyMongoError:
            raise StartError(
                f"MongoDB at {where} does not reply within {REPLY_TIMEOUT_MS // 1000} s, or has no "
                "primary. Start it or correct MONGODB_URI; without MONGODB_URI, Finlink starts its own "
                "database."
            ) from None
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise StartError(
            f"MongoDB at {where} is standalone, but Finlink needs transactions and so a replica set. "
            "Start it with --replSet and run rs.initiate() once; one node is enough."
        )


async def end_leftovers(left: Mapping[str, psutil.Process]) -> None:
    """End the processes that a killed supervisor has left, so that its ports and data are free.

    Only mongod is given time. The others serve nobody any more, since Envoy and the database had SIGTERM
    when the supervisor died.
    """
    for name, process in left.items():
        _signal(process, kill=name != mongod.NAME)

    async def gone() -> bool:
        return not any(_alive(process) for process in left.values())

    with suppress(TimeoutError):
        async with asyncio.timeout(MONGOD_END_TIMEOUT):
            await until(gone)
    for process in left.values():
        _signal(process, kill=True)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, *, kill: bool) -> None:
    with suppress(psutil.Error):
        (process.kill if kill else process.terminate)()
