"""Fits the middleware to grpc.aio: one chain a method, built once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import grpc

from server.rpc.call import Handler
from server.rpc.method import Method
from server.rpc.streams import sending

# Wraps the handler of one method. Called once a method, so work that is the same for every call
# of it is done there.
Middleware: TypeAlias = Callable[[Method, Handler], Handler]
_RpcHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class MiddlewareServices(grpc.GenericRpcHandler):
    """Runs every RPC of the servicers that are added to it through `middleware`, the first one outermost.

    It stands for a server where servicers are added, and is a server's handler itself; an `interceptor`,
    grpc.aio's own way, costs every call more than some of the middleware does.

    A server stream passes through the same middleware; innermost, its messages are sent and there is no
    reply. A client stream arrives as an asynchronous iterator in the place of the request.

    Requests arrive as raw bytes: decoding is middleware, so that bad bytes are refused, logged and counted
    like any other bad request. So is encoding.
    """

    def __init__(self, methods: Mapping[str, Method], middleware: Sequence[Middleware]) -> None:
        self.methods = methods  # by path
        self._middleware = tuple(reversed(middleware))
        self._handlers: dict[str, _RpcHandler] = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Other functions that generated code calls, with the same in another form."""

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, _RpcHandler]
    ) -> None:
        """Called by generated code with a servicer's methods. Raises KeyError for one of no contract."""
        for name, handler in handlers.items():
            path = f"/{service}/{name}"
            self._handlers[path] = self._handler_of(self.methods[path], handler)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> _RpcHandler | None:
        return self._handlers.get(handler_call_details.method)

    def _handler_of(self, method: Method, handler: _RpcHandler) -> _RpcHandler:
        if method.takes_stream and method.streams:
            raise TypeError(f"{method.path} streams both ways, which no middleware is made for")
        chain: Any
        make: Callable[[Any], _RpcHandler]
        if method.takes_stream:
            chain, make = handler.stream_unary, grpc.stream_unary_rpc_method_handler
        elif method.streams:
            chain = sending(method, cast("Any", handler.unary_stream))
            make = grpc.unary_stream_rpc_method_handler
        else:
            chain, make = handler.unary_unary, grpc.unary_unary_rpc_method_handler
        for each in self._middleware:
            chain = each(method, chain)
        # Without functions that read and write messages: what comes and goes is bytes.
        return make(chain)
