"""A gRPC server that answers what a test tells it to."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

TIMEOUT = 30.0


@dataclass(frozen=True)
class Failure:
    """A reply that is an error, with `details` as gRPC's serialized status details."""

    code: grpc.StatusCode
    message: str = ""
    details: bytes | None = None


@dataclass(frozen=True)
class Received:
    """A call that arrived."""

    method: str
    request: bytes
    seconds: float  # to its deadline; centuries where it has none
    metadata: dict[str, str]


HANG = object()


class Script(grpc.GenericRpcHandler):
    """Answers each method's calls from its list, and with an empty message after.

    A method in `streams` answers each call with all of the first list there, and ends with its failure.
    """

    def __init__(self) -> None:
        self.address = ""
        self.streams: defaultdict[str, deque[list[bytes | Failure | object]]] = defaultdict(deque)
        self.replies: defaultdict[str, deque[bytes | Failure | object]] = defaultdict(deque)
        self.received: list[Received] = []
        self.hanging = threading.Event()
        self.over = threading.Event()

    def calls(self, method: str) -> int:
        """How often `method` arrived."""
        return sum(each.method == method for each in self.received)

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        method = handler_call_details.method.rpartition("/")[2]

        def receive(request: bytes, context: grpc.ServicerContext) -> None:
            metadata = {key: str(value) for key, value in context.invocation_metadata()}
            self.received.append(Received(method, request, context.time_remaining(), metadata))

        def stream(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            receive(request, context)
            for reported in self.streams[method].popleft():
                yield give(reported, context)

        def reply(request: bytes, context: grpc.ServicerContext) -> bytes:
            receive(request, context)
            replies = self.replies[method]
            return give(replies.popleft() if replies else b"", context)

        def give(reported: bytes | Failure | object, context: grpc.ServicerContext) -> bytes:
            if reported is HANG:
                self.hanging.set()
                self.over.wait(TIMEOUT)
                return b""
            if isinstance(reported, Failure):
                if reported.details is not None:
                    context.set_trailing_metadata((("grpc-status-details-bin", reported.details),))
                context.abort(reported.code, reported.message)
            assert isinstance(reported, bytes)
            return reported

        if method in self.streams:
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(reply)


@contextmanager
def serving(credentials: grpc.ServerCredentials | None = None) -> Iterator[Script]:
    """A scripted server on a port of its own."""
    script = Script()
    with ThreadPoolExecutor(8) as threads:
        server = grpc.server(threads, handlers=[script])
        if credentials is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            port = server.add_secure_port("127.0.0.1:0", credentials)
        script.address = f"127.0.0.1:{port}"
        server.start()
        try:
            yield script
        finally:
            script.over.set()
            server.stop(None).wait()
