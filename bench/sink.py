"""Takes traces, as a collector would, and forgets them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc


class _Sink(grpc.GenericRpcHandler):
    def service(self, _details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        # An empty reply says that everything was accepted, whatever was sent.
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")


@contextmanager
def listening() -> Iterator[str]:
    """The endpoint of an OTLP collector, while inside."""
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((_Sink(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
