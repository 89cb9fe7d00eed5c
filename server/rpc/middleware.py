"""Fits the steps of `rpc/interceptors` to grpc.aio: one interceptor, one chain a method, built once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import grpc
from google.protobuf.message import Message

from server.rpc.call import Handler
from server.rpc.method import Method
from server.rpc.streams import sending

# Wraps the handler of one method. Called once a method, so work that is the same for every call
# of it is done there.
Step: TypeAlias = Callable[[Method, Handler], Handler]
_RpcHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class StepInterceptor(grpc.aio.ServerInterceptor):
    """Runs every RPC of the contract through `steps`, the first one outermost.

    A server stream takes the same steps; its innermost one sends the messages and gives no answer.

    Requests arrive at the steps as raw bytes: decoding is a step of its own, so that bad bytes are
    refused, logged and counted like any other bad request.
    """

    def __init__(self, methods: Mapping[str, Method], steps: Sequence[Step]) -> None:
        self._methods = methods
        self._steps = tuple(reversed(steps))
        self._handlers: dict[str, _RpcHandler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_RpcHandler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _RpcHandler | None:
        path = handler_call_details.method
        ready = self._handlers.get(path)
        if ready is not None:
            return ready
        handler = await continuation(handler_call_details)
        method = self._methods.get(path)
        if handler is None or method is None:
            return handler
        chain: Handler = (
            sending(method, cast("Any", handler.unary_stream))
            if method.streams
            else cast("Handler", handler.unary_unary)
        )
        for step in self._steps:
            chain = step(method, chain)
        built: _RpcHandler
        if method.streams:
            built = grpc.unary_stream_rpc_method_handler(
                cast("Any", chain), request_deserializer=None, response_serializer=None
            )
        else:
            built = grpc.unary_unary_rpc_method_handler(
                cast("Any", chain),
                request_deserializer=None,
                response_serializer=_serialized,
            )
        self._handlers[path] = built
        return built


def _serialized(reply: Message | bytes) -> bytes:
    """A ready answer is bytes already."""
    return reply if isinstance(reply, bytes) else reply.SerializeToString()
