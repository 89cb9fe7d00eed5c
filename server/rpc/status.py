"""Errors as callers see them: one table from codes to statuses, one shape over REST, one over gRPC."""

import json
from collections.abc import Sequence

import grpc
from finlink.errors.v1 import error_reason_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2

from server.core.errors import ApiError, FieldError

DOMAIN = "finlink"

# The HTTP status of a gRPC status, for reasons that name no other; as error_reason.proto says.
_HTTP = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.UNIMPLEMENTED: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
REASONS: dict[str, error_reason_pb2.ReasonStatus] = {
    value.name.removeprefix("ERROR_REASON_"): value.GetOptions().Extensions[error_reason_pb2.status]
    for value in error_reason_pb2.ErrorReason.DESCRIPTOR.values[1:]
}


def _statuses(reason: error_reason_pb2.ReasonStatus) -> tuple[grpc.StatusCode, int]:
    status = grpc.StatusCode[code_pb2.Code.Name(reason.grpc)]
    return status, reason.http or _HTTP[status]


# Code of finlink.errors.v1.ErrorReason -> (gRPC status, HTTP status).
STATUSES = {name: _statuses(reason) for name, reason in REASONS.items()}
# The reasons that every RPC can fail with.
COMMON = tuple(name for name, reason in REASONS.items() if reason.every_rpc)

# Details travel as metadata. Clients accept about 8 KB of it, base64 and everything else included.
MAX_DETAILS_BYTES = 5_200
MAX_FIELD_CHARACTERS = 200
MAX_MESSAGE_CHARACTERS = 300


def capped(fields: Sequence[FieldError]) -> list[FieldError]:
    """As many fields as fit; the last entry says how many more there were."""
    kept: list[FieldError] = []
    size = 0
    for index, entry in enumerate(fields):
        short = FieldError(
            _cut(entry.field, MAX_FIELD_CHARACTERS), _cut(entry.message, MAX_MESSAGE_CHARACTERS)
        )
        size += len(json.dumps([short.field, short.message]))
        if size > MAX_DETAILS_BYTES:
            kept.append(FieldError("", f"and {len(fields) - index} more"))
            break
        kept.append(short)
    return kept


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + "…"


def grpc_details(error: ApiError) -> bytes:
    """A serialized google.rpc.Status: ErrorInfo always, BadRequest and RetryInfo where they apply."""
    code, _ = STATUSES[error.code]
    status = status_pb2.Status(code=code.value[0], message=error.message)
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=error.code, domain=DOMAIN, metadata=error.metadata)
    )
    if error.fields:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=f.field, description=f.message)
            for f in capped(error.fields)
        ]
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=violations))
    if error.retry_after is not None:
        delay = Duration()
        delay.FromTimedelta(error.retry_after)
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return bytes(status.SerializeToString())


def rest_error(error: ApiError, path: str) -> dict[str, object]:
    """The PRD's `error`, as REST callers get it."""
    body: dict[str, object] = {
        "code": error.code,
        "message": error.message,
        "details": [{"field": f.field, "message": f.message} for f in capped(error.fields)],
        "timestamp": error.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "path": path,
    }
    if error.metadata:
        body["metadata"] = error.metadata
    return body


# The error that a challenge names, as RFC 6750 and RFC 9470 do. A call without a token gets no name.
_CHALLENGES = {
    "TOKEN_EXPIRED": "invalid_token",
    "SESSION_ENDED": "invalid_token",
    "RECENT_LOGIN_REQUIRED": "insufficient_user_authentication",
}


def challenge(error: ApiError) -> str:
    """The `www-authenticate` of a reply 401."""
    name = _CHALLENGES.get(error.code)
    if name is None:
        return "Bearer"
    age = error.metadata.get("maxAge")
    return f'Bearer error="{name}"' + (f', max_age="{age}"' if age else "")
