"""Converts gRPC's error of a call to an exception."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from finlink_client.errors import (
    Cancelled,
    Conflict,
    FieldError,
    FinlinkError,
    LimitExceeded,
    NotFound,
    Unavailable,
)
from finlink_client.gen.reasons import (
    REASONS,
    DeadlineExceeded,
    Internal,
    PermissionDenied,
    RouteNotFound,
    Unauthenticated,
    ValidationError,
)

DOMAIN = "finlink"
DETAILS = "grpc-status-details-bin"

# For errors of the channel, of Envoy and of whatever else is on the way: they have no ErrorInfo.
STATUSES: Mapping[StatusCode, type[FinlinkError]] = {
    StatusCode.CANCELLED: Cancelled,
    StatusCode.UNKNOWN: Internal,
    StatusCode.INVALID_ARGUMENT: ValidationError,
    StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    StatusCode.NOT_FOUND: NotFound,
    StatusCode.ALREADY_EXISTS: Conflict,
    StatusCode.PERMISSION_DENIED: PermissionDenied,
    StatusCode.UNAUTHENTICATED: Unauthenticated,
    StatusCode.RESOURCE_EXHAUSTED: LimitExceeded,
    StatusCode.FAILED_PRECONDITION: Conflict,
    StatusCode.ABORTED: Conflict,
    StatusCode.UNIMPLEMENTED: RouteNotFound,
    StatusCode.OUT_OF_RANGE: ValidationError,
    StatusCode.INTERNAL: Internal,
    StatusCode.UNAVAILABLE: Unavailable,
    StatusCode.DATA_LOSS: Internal,
}


def from_rpc_error(error: grpc.RpcError) -> FinlinkError:
    """gRPC's error as a FinlinkError."""
    grpc_code = error.code()
    trailers = dict(cast("Iterable[tuple[str, Any]]", error.trailing_metadata() or ()))
    info, fields, retry_after = _details(trailers.get(DETAILS, b""))
    error_class = REASONS.get(info.reason) or STATUSES.get(grpc_code, FinlinkError)
    return error_class(
        info.reason or grpc_code.name,
        error.details() or "",
        fields,
        info.metadata,
        retry_after,
        grpc_code,
        trailers.get("x-request-id"),
    )


def from_stream_error(error: grpc.RpcError) -> FinlinkError:
    """The same for a stream.

    A call whose server is killed is cut off: gRPC reports it as an INTERNAL that no server sent.
    """
    trailers = cast("Iterable[tuple[str, Any]]", error.trailing_metadata() or ())
    if error.code() is StatusCode.INTERNAL and DETAILS not in dict(trailers):
        message = "The stream broke off"
        return Unavailable("UNAVAILABLE", message, grpc_code=StatusCode.UNAVAILABLE)
    return from_rpc_error(error)


def _details(
    serialized: bytes,
) -> tuple[error_details_pb2.ErrorInfo, list[FieldError], timedelta | None]:
    """The facts of a google.rpc.Status; one that does not parse or is not Finlink's has none."""
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    retry_info = error_details_pb2.RetryInfo()
    try:
        for detail in status_pb2.Status.FromString(serialized).details:
            for message in (info, bad_request, retry_info):
                detail.Unpack(message)
    except DecodeError:
        info.Clear()
    if info.domain != DOMAIN:
        info.Clear()
    fields = [FieldError(each.field, each.description) for each in bad_request.field_violations]
    wait = retry_info.retry_delay.ToTimedelta() if retry_info.HasField("retry_delay") else None
    return info, fields, wait
