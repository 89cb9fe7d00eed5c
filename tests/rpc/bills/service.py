"""A service with the requests of `bills.proto`, behind the server's own middleware and a real Envoy."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import grpc
from google.api import httpbody_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from codegen import envoy, routes, stubs
from server.app import middleware
from server.core.access import Keys
from server.core.idempotency import IdempotencyRecord
from server.core.principals import Role
from server.edge.limits import Limits
from server.rpc.method import Method, methods_of
from server.rpc.middleware.authentication import Authentication
from server.rpc.middleware.cached_responses import CachedResponses
from server.rpc.middleware.chain import MiddlewareServices
from server.rpc.middleware.completion import Completion
from server.rpc.middleware.idempotency import Idempotency
from server.rpc.middleware.live_sessions import LiveSessions
from server.rpc.middleware.ownership import Ownership
from server.rpc.middleware.user_limits import UserLimits
from server.rpc.rate_limiter import RateLimiter
from server.supervisor.datadir import socket_folder
from tests.edge.edge_stack import EdgeStack, edge_stack
from tests.stack import ROOT

FOLDER = Path(__file__).parent
PROTO = "tests/rpc/bills/bills.proto"
SERVICE = "finlink.bills.v1.BillService"


def compiled(folder: Path) -> tuple[Mapping[str, Method], Path]:
    """The RPCs by name, and the descriptors for Envoy with its routes beside them."""
    own = folder / "bills.binpb"
    contract = ROOT / "gen" / "finlink.binpb"
    stubs.run_protoc(
        f"--descriptor_set_in={contract}", f"-I{ROOT}", f"--descriptor_set_out={own}", PROTO
    )
    files = descriptor_pb2.FileDescriptorSet.FromString(own.read_bytes())
    for file in files.file:
        descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    both = descriptor_pb2.FileDescriptorSet.FromString(contract.read_bytes())
    both.MergeFrom(files)
    for_envoy = folder / "envoy.binpb"
    for_envoy.write_bytes(envoy.descriptors(both).SerializeToString())
    (folder / routes.FILE).write_text(routes.text([SERVICE], str(for_envoy)))
    methods = {method.descriptor.name: method for method in methods_of([SERVICE]).values()}
    return methods, for_envoy


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Bills:
    """The servicer: it replies with what it got, and notes it."""

    methods: Mapping[str, Method]
    got: list[Message] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)  # how each ended
    pause: asyncio.Event | None = None  # an upload waits for it once it has all

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        unary = grpc.unary_unary_rpc_method_handler
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            name: unary(cast("Any", self._echo(method)))
            for name, method in self.methods.items()
            if "data" in method.descriptor.output_type.fields_by_name
            and method.descriptor.output_type != httpbody_pb2.HttpBody.DESCRIPTOR
        }
        handlers["AttachReceipt"] = unary(cast("Any", self._attach))
        handlers["ReceiveWebhook"] = unary(cast("Any", self._webhook))
        handlers["UploadBills"] = grpc.stream_unary_rpc_method_handler(cast("Any", self._upload))
        return handlers

    def _echo(self, method: Method) -> Any:
        response = method.response_class

        async def handle(request: Message, _context: object) -> Message:
            self.got.append(request)
            return response(data=request)

        return handle

    async def _attach(self, request: Any, _context: object) -> Message:
        self.got.append(request)
        file = request.file
        kind = self.methods["AttachReceipt"].response_class
        return kind(
            content_type=file.content_type,
            size=len(file.data),
            sha256=digest(file.data),
            purpose=request.purpose,
        )

    async def _webhook(self, request: Any, _context: object) -> Message:
        self.got.append(request)
        kind = self.methods["ReceiveWebhook"].response_class
        return kind(content_type=request.content_type, data=request.data[::-1])

    async def _upload(self, requests: AsyncIterator[Any], _context: object) -> Message:
        data, chunks, kind = b"", 0, ""
        try:
            async for chunk in requests:
                data, chunks, kind = data + chunk.data, chunks + 1, kind or chunk.content_type
            if self.pause is not None:
                await self.pause.wait()
        except BaseException as error:
            self.uploads.append(type(error).__name__)
            raise
        self.uploads.append("whole")
        response = self.methods["UploadBills"].response_class
        return response(content_type=kind, size=len(data), sha256=digest(data), chunks=chunks)


class _Admission:
    """`access.Keys` that lets everybody in."""

    are_fresh = True
    guard = False


async def _nobodys_role(user_id: str) -> Role | None:
    return None


async def _nobody(user_id: str) -> str:
    raise AssertionError(user_id)


class _Records:
    """`idempotency.IdempotencyRecords` in memory."""

    def __init__(self) -> None:
        self._kept: dict[str, IdempotencyRecord] = {}

    @asynccontextmanager
    async def serving(self, name: str, wait: timedelta) -> AsyncIterator[None]:
        yield

    async def find(self, name: str) -> IdempotencyRecord | None:
        return self._kept.get(name)

    async def add(
        self, records: Sequence[tuple[str, IdempotencyRecord]], session: Any = None
    ) -> None:
        self._kept |= dict(records)


@dataclass(frozen=True)
class Site:
    """The service, served."""

    bills: Bills
    edge_stack: EdgeStack
    completion: Completion

    def message(self, name: str, **content: Any) -> Message:
        return self.bills.methods[name].request_class(**content)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Site]:
    methods, descriptors = compiled(folder)
    bills, completion = Bills(methods), Completion()
    passed = middleware(
        Authentication(cast("Keys", _Admission()), None, _nobody),
        UserLimits(RateLimiter(), calls=0, changes=0),
        LiveSessions(None),
        completion,
        CachedResponses(None),
        Ownership({}, _nobodys_role),
        Idempotency(_Records(), b"key", lambda user_id: None),
    )
    services = MiddlewareServices({method.path: method for method in methods.values()}, passed)
    services.add_registered_method_handlers(SERVICE, bills.handlers())
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((services,))
    health = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    await health.set("", health_pb2.HealthCheckResponse.SERVING)
    with socket_folder() as sockets:
        socket = sockets / "worker-0.sock"
        server.add_insecure_port(f"unix:{socket}")
        await server.start()
        opening = edge_stack(
            folder / "envoy", Limits(enabled=False), server=socket, descriptors=descriptors
        )
        opened = await asyncio.to_thread(opening.__enter__)
        try:
            yield Site(bills, opened, completion)
        finally:
            await asyncio.to_thread(opening.__exit__, None, None, None)
            await server.stop(None)
