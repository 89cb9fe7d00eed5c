"""What a call can raise. Whatever goes wrong with one, it is a FinlinkError.

FinlinkError                  a code of finlink.errors.v1.ErrorReason, a message, fields, metadata
├── ValidationError           VALIDATION_ERROR: the request breaks a rule; `fields` names each
├── InvalidCredentials        INVALID_CREDENTIALS: the platform refuses the login
├── NotFound
│   ├── UserNotFound          USER_NOT_FOUND
│   ├── ConnectorNotFound     CONNECTOR_NOT_FOUND
│   ├── ConnectionNotFound    CONNECTION_NOT_FOUND: never connected to that platform
│   └── SyncNotFound          SYNC_NOT_FOUND
├── Conflict
│   ├── UserExists            USER_EXISTS: `fields` says whether `userId` or `email` is taken
│   ├── AlreadyConnected      ALREADY_CONNECTED
│   ├── NotConnected          NOT_CONNECTED: connect it again
│   ├── ReauthRequired        REAUTH_REQUIRED: `login_url` is where, if there is a page
│   ├── IdempotencyKeyReused  IDEMPOTENCY_KEY_REUSED
│   └── ResumeTokenExpired    RESUME_TOKEN_EXPIRED
├── LimitExceeded
│   ├── RateLimited           RATE_LIMITED: `retry_after` says how long to wait
│   └── PayloadTooLarge       PAYLOAD_TOO_LARGE
├── Unavailable               UNAVAILABLE, or nothing answers at the address: try later
│   └── PlatformUnavailable   PLATFORM_UNAVAILABLE
├── DeadlineExceeded          DEADLINE_EXCEEDED: a write may have been applied
├── RouteNotFound             ROUTE_NOT_FOUND: the server does not know this RPC
├── AccessDenied              refused, by Finlink or on the way to it
│   ├── Unauthenticated       UNAUTHENTICATED: no API key, or one that is unknown or revoked
│   └── PermissionDenied      PERMISSION_DENIED: the API key has too small a scope
├── Cancelled                 the call was given up: the client was closed, for one
└── Internal                  INTERNAL: a fault of Finlink; its log has it under `request_id`
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

DOMAIN = "finlink"
DETAILS = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field; `field` is its JSON path, as in `preferences.currency`."""

    field: str
    message: str


class FinlinkError(Exception):
    """A call failed. Neither `str` nor `repr` shows the request or the metadata."""

    def __init__(
        self,
        code: str,
        message: str,
        fields: Sequence[FieldError] = (),
        metadata: Mapping[str, str] | None = None,
        retry_after: timedelta | None = None,
        grpc_code: StatusCode = StatusCode.UNKNOWN,
        request_id: str | None = None,
    ) -> None:
        """`code` is the ErrorReason, or gRPC's status where no Finlink server answered."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.fields = tuple(fields)
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after
        self.grpc_code = grpc_code
        self.request_id = request_id

    def __str__(self) -> str:
        text = f"{self.code}: {self.message}"
        if self.fields:
            text += " (" + "; ".join(f"{each.field}: {each.message}" for each in self.fields) + ")"
        return text

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (
            self.code, self.message, self.fields, self.metadata, self.retry_after, self.grpc_code,
            self.request_id,
        )  # fmt: skip
        return type(self), arguments


class ValidationError(FinlinkError):
    """The request breaks a rule of the contract."""


class InvalidCredentials(FinlinkError):
    """The platform refuses the credentials, or grants none of the permissions asked for."""


class NotFound(FinlinkError):
    """What the request names does not exist."""


class UserNotFound(NotFound):
    """No user has this id."""


class ConnectorNotFound(NotFound):
    """No connector has this id."""


class ConnectionNotFound(NotFound):
    """The user was never connected to this platform."""


class SyncNotFound(NotFound):
    """The connector has no sync run of this id."""


class Conflict(FinlinkError):
    """The request does not fit how things stand."""


class UserExists(Conflict):
    """The user id or the email is taken."""


class AlreadyConnected(Conflict):
    """The user is connected to this platform, or is being connected at this moment."""


class NotConnected(Conflict):
    """The connector is disconnected and no login is pending."""


class ReauthRequired(Conflict):
    """The platform wants a new login."""

    @property
    def login_url(self) -> str | None:
        """Where the user must log in, if there is a page."""
        return self.metadata.get("loginUrl")


class IdempotencyKeyReused(Conflict):
    """The idempotency key was used before for another request."""


class ResumeTokenExpired(Conflict):
    """The resume token is too old: list, then watch anew."""


class LimitExceeded(FinlinkError):
    """Too much at once."""


class RateLimited(LimitExceeded):
    """Too many requests."""


class PayloadTooLarge(LimitExceeded):
    """The request is too large."""


class Unavailable(FinlinkError):
    """Finlink cannot be reached, or cannot reach its database. Safe to try later."""


class PlatformUnavailable(Unavailable):
    """The platform cannot be reached, or fails. Safe to try later."""


class DeadlineExceeded(FinlinkError):
    """The answer did not come in time; a write may have been applied."""


class RouteNotFound(FinlinkError):
    """The server does not know this RPC."""


class AccessDenied(FinlinkError):
    """Finlink, or something on the way to it, refuses the caller."""


class Unauthenticated(AccessDenied):
    """The call has no API key, or one that is unknown or revoked."""


class PermissionDenied(AccessDenied):
    """The API key does not have the scope that the call needs."""


class Cancelled(FinlinkError):
    """The call was given up; a write may have been applied."""


class Internal(FinlinkError):
    """A fault of Finlink."""


REASONS: Mapping[str, type[FinlinkError]] = {
    "VALIDATION_ERROR": ValidationError,
    "INVALID_CREDENTIALS": InvalidCredentials,
    "USER_NOT_FOUND": UserNotFound,
    "CONNECTOR_NOT_FOUND": ConnectorNotFound,
    "CONNECTION_NOT_FOUND": ConnectionNotFound,
    "SYNC_NOT_FOUND": SyncNotFound,
    "ROUTE_NOT_FOUND": RouteNotFound,
    "USER_EXISTS": UserExists,
    "ALREADY_CONNECTED": AlreadyConnected,
    "NOT_CONNECTED": NotConnected,
    "REAUTH_REQUIRED": ReauthRequired,
    "IDEMPOTENCY_KEY_REUSED": IdempotencyKeyReused,
    "RESUME_TOKEN_EXPIRED": ResumeTokenExpired,
    "PAYLOAD_TOO_LARGE": PayloadTooLarge,
    "RATE_LIMITED": RateLimited,
    "PLATFORM_UNAVAILABLE": PlatformUnavailable,
    "UNAVAILABLE": Unavailable,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "INTERNAL": Internal,
    "UNAUTHENTICATED": Unauthenticated,
    "PERMISSION_DENIED": PermissionDenied,
}

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

    One whose server is killed is cut: what gRPC makes of that is an INTERNAL that no server has told of.
    """
    trailers = cast("Iterable[tuple[str, Any]]", error.trailing_metadata() or ())
    if error.code() is StatusCode.INTERNAL and DETAILS not in dict(trailers):
        message = "The stream broke off"
        return Unavailable("UNAVAILABLE", message, grpc_code=StatusCode.UNAVAILABLE)
    return from_rpc_error(error)


def _details(
    serialized: bytes,
) -> tuple[error_details_pb2.ErrorInfo, list[FieldError], timedelta | None]:
    """What a google.rpc.Status says; what does not parse or is not Finlink's says nothing."""
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
