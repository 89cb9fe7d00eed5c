"""Fits the middleware to grpc.aio: one chain a method, built once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import grpc

from server.rpc.call import Handler
from server.rpc.handlers import RpcHandler, Services, taking_one
from server.rpc.method import Method
from server.rpc.streams import sending

# Wraps the handler of one method. Called once a method, so work that is the same for every call
# of it is done there.
Middleware: TypeAlias = Callable[[Method, Handler], Handler]


class MiddlewareServices(Services):
    """Runs every RPC of the servicers that are added to it through `middleware`, the first one outermost.

    An `interceptor`, grpc.aio's own way, costs every call more than some of the middleware does.

    A server stream passes through the same middleware; innermost, its messages are sent and there is no
    reply. A client stream arrives as an asynchronous iterator in the place of the request.

    Requests arrive as raw bytes: decoding is middleware, so that bad bytes are refused, logged and counted
    like any other bad request. So is encoding.
    """

    def __init__(self, methods: Mapping[str, Method], middleware: Sequence[Middleware]) -> None:
        super().__init__()
        self.methods = methods  # by path
        self._middleware = tuple(reversed(middleware))

    def handler_of(self, path: str, handler: RpcHandler) -> RpcHandler:
        """Raises KeyError for one of no contract."""
        method = self.methods[path]
        if method.takes_stream and method.streams:
            raise TypeError(f"{path} streams both ways, which no middleware is made for")
        chain: Any
        if method.takes_stream:
            chain = handler.stream_unary
        elif method.streams:
            chain = sending(method, cast("Any", handler.unary_stream))
        else:
            chain = handler.unary_unary
        for each in self._middleware:
            chain = each(method, chain)
        # Without functions that read and write messages: what comes and goes is bytes.
        if method.takes_stream:
            return grpc.stream_unary_rpc_method_handler(chain)
        return taking_one(chain, streams=method.streams)
