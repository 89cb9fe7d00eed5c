"""Envoy as the supervisor configures it, before a server that answers every call and notes what it got."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import httpx
from google.api.httpbody_pb2 import HttpBody
from grpc_health.v1 import health_pb2

from server.edge import config as envoy_config
from server.edge.config import Edge
from server.edge.limits import Limits
from server.edge.pages import Page
from server.edge.programs import find_envoy
from server.edge.tls import Tls
from server.edge.tracing import Tracing
from server.supervisor.datadir import socket_folder
from server.supervisor.run import DESCRIPTORS, ENVOY_TEMPLATE
from tests.stack import free_ports
from tests.supervisor.harness import DEADLINE, patiently

HOUR_MS = 3_600_000  # a window in which nothing comes back while a test runs


@dataclass(frozen=True)
class Seen:
    """A call as the server got it."""

    method: str
    metadata: dict[str, str]


@dataclass
class EdgeStack:
    """A running Envoy, and what has come through it."""

    rest_port: int
    tls_port: int
    grpc_port: int
    admin_port: int
    log: Path
    access_log: Path
    seen: list[Seen] = field(default_factory=list)

    @property
    def rest(self) -> str:
        return f"http://127.0.0.1:{self.rest_port}"

    def admin(self, path: str, method: str = "GET") -> str:
        reply = httpx.request(method, f"http://127.0.0.1:{self.admin_port}{path}")
        return reply.raise_for_status().text

    def memory(self) -> int:
        """Bytes Envoy has allocated."""
        return int(json.loads(self.admin("/memory"))["allocated"])


class _Anything(grpc.GenericRpcHandler):
    """Healthy, and answers every RPC with an empty message, after `wait-seconds` where a call has that.

    With `reply-type` the message is a body of that type, of `reply-bytes` bytes.
    """

    def __init__(self, seen: list[Seen]) -> None:
        self._seen = seen

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        def health(_request: bytes, _context: grpc.ServicerContext) -> bytes:
            serving = health_pb2.HealthCheckResponse.SERVING
            return health_pb2.HealthCheckResponse(status=serving).SerializeToString()

        def reply(_request: bytes, context: grpc.ServicerContext) -> bytes:
            metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
            self._seen.append(Seen(str(details.method), metadata))
            Event().wait(float(metadata.get("wait-seconds", 0)))
            body = HttpBody(content_type=metadata.get("reply-type", ""))
            body.data = b"0" * int(metadata.get("reply-bytes", 0))
            return bytes(body.SerializeToString())

        is_health = str(details.method).startswith("/grpc.health")
        return grpc.unary_unary_rpc_method_handler(health if is_health else reply)


@contextmanager
def edge_stack(
    folder: Path,
    limits: Limits | None = None,
    tls: Tls | None = None,
    host: str = "127.0.0.1",
    tracing: Tracing | None = None,
    pages: Sequence[Page] = (),
    every_call: bool = False,
    descriptors: Path = DESCRIPTORS,
    server: Path | None = None,
) -> Iterator[EdgeStack]:
    """Start Envoy; `tls` gets a port of its own. Returns when a server is healthy behind it.

    `server`: the socket of one that answers otherwise.
    """
    rest, tls_port, rpc, admin = free_ports(4)
    folder.mkdir(parents=True, exist_ok=True)
    opened = EdgeStack(rest, tls_port, rpc, admin, folder / "envoy.log", folder / "access.log")
    with nullcontext(server) if server else worker(opened) as socket:
        given = tls or Tls()
        edge = Edge(
            host=host, rest_port=rest, grpc_port=rpc, admin_port=admin, sockets=[socket],
            descriptors=descriptors, access_log=opened.access_log, limits=limits or Limits(),
            tls=replace(given, rest_port=tls_port), tracing=tracing, pages=pages, every_call=every_call,
        )  # fmt: skip
        config = folder / "envoy.yaml"
        envoy_config.write(ENVOY_TEMPLATE, config, edge)
        with envoy(opened, config, folder):
            yield opened


@contextmanager
def worker(opened: EdgeStack) -> Iterator[Path]:
    """The server that answers every call; its socket."""
    with socket_folder() as folder:
        socket = folder / "worker-0.sock"
        server = grpc.server(ThreadPoolExecutor(8))
        server.add_generic_rpc_handlers((_Anything(opened.seen),))
        server.add_insecure_port(f"unix:{socket}")
        server.start()
        yield socket
        server.stop(None).wait()


@contextmanager
def envoy(opened: EdgeStack, config: Path, folder: Path) -> Iterator[None]:
    """Envoy with this configuration, from when it has a healthy server."""
    log = opened.log
    command: Sequence[str | Path] = [find_envoy(), "-c", config, "--disable-hot-restart"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--log-level", "warn"], cwd=folder, stdout=output, stderr=output
        )
    try:
        patiently(lambda: _healthy(opened), log)
        yield
    finally:
        process.terminate()
        code = process.wait(DEADLINE)
    assert code == 0, log.read_text()


def _healthy(opened: EdgeStack) -> bool:
    try:
        stats = opened.admin("/stats?filter=membership_healthy|listener_manager.workers_started")
    except httpx.HTTPError:
        return False
    return "membership_healthy: 1" in stats and "workers_started: 1" in stats


def untyped(channel: grpc.aio.Channel, path: str) -> grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]:
    """An RPC whose messages are bytes as they are."""
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
    return call
