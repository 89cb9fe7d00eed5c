"""Where servicers are added: for grpc.aio, a handler a method."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast

import grpc

from server.rpc.call import Context

RpcHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Serve: TypeAlias = Callable[[Any, Context], Awaitable[Any]]

NO_MESSAGE = "The call ended without a request message"


class Services(grpc.GenericRpcHandler):
    """Stands for a server where generated code adds servicers, and is a server's handler itself."""

    def __init__(self) -> None:
        self._handlers: dict[str, RpcHandler] = {}

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Other functions that generated code calls, with the same in another form."""

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, RpcHandler]
    ) -> None:
        """Called by generated code with a servicer's methods."""
        for name, handler in handlers.items():
            path = f"/{service}/{name}"
            self._handlers[path] = self.handler_of(path, handler)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> RpcHandler | None:
        return self._handlers.get(handler_call_details.method)

    def handler_of(self, path: str, handler: RpcHandler) -> RpcHandler:
        """The handler of grpc.aio, of the one that generated code makes."""
        if handler.request_streaming:
            return handler
        streams = handler.response_streaming
        serve = cast("Serve", handler.unary_stream if streams else handler.unary_unary)

        async def serve_one(request: Any, context: Context) -> Any:
            if request is None:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, NO_MESSAGE)
            return await serve(request, context)

        return taking_one(
            serve_one,
            streams=streams,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


def taking_one(serve: Serve, *, streams: bool, **serializers: Any) -> RpcHandler:
    """The handler of a method that takes one message. `serve` gets None where a call ends without one.

    To grpc.aio it takes a stream: its own handlers of one message forget a call that ends without it, which
    then never ends for its caller, and which the server waits for when it stops.
    """

    async def handle(_requests: object, context: Context) -> Any:
        request = await context.read()
        return await serve(None if request is grpc.aio.EOF else request, context)

    if streams:
        return grpc.stream_stream_rpc_method_handler(handle, **serializers)
    return grpc.stream_unary_rpc_method_handler(handle, **serializers)
