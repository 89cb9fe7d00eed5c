"""Replies to calls of methods that do not exist with the contract's error instead of gRPC's bare one."""

from __future__ import annotations

from typing import Any

import grpc

from server.core.errors import ApiError
from server.rpc.call import Context
from server.rpc.status import STATUSES, grpc_details


class RouteNotFound(ApiError):
    code = "ROUTE_NOT_FOUND"
    default_message = "No such method"


class UnknownMethods(grpc.GenericRpcHandler):
    """Registered last, it gets every call nobody else handles."""

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any]:
        async def refuse(_requests: Any, context: Context) -> None:
            error = RouteNotFound(f"No such method: {handler_call_details.method}"[:300])
            details = (("grpc-status-details-bin", grpc_details(error)),)
            await context.abort(STATUSES[error.code][0], error.message, details)

        return grpc.stream_unary_rpc_method_handler(refuse)
