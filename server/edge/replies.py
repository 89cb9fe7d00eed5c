"""Envoy's own replies in the shape of all errors."""

from dataclasses import dataclass
from typing import Any

from server.edge.limits import named
from server.edge.parts import part

HEADERS = "envoy.filters.http.header_mutation"


@dataclass(frozen=True)
class Reply:
    """The replies of Envoy's own errors, by status. The first that fits is taken."""

    status: int
    code: str  # an ErrorReason of the contract
    message: str
    sent: int | None = None  # the status that goes out, where it is another
    above: bool = False  # fits every status from `status` on
    field: tuple[str, str] | None = None  # the header that is wrong, and what would be right


_INVALID = "Validation failed"
_NO_HTTP = "The request is not valid HTTP, or its path has escaped slashes"
REPLIES = (
    Reply(400, "VALIDATION_ERROR", _NO_HTTP),
    Reply(
        403, "VALIDATION_ERROR", _INVALID, sent=400,
        field=("Upgrade", "must be left out; no other protocol is spoken here"),
    ),
    Reply(404, "ROUTE_NOT_FOUND", "No such path, or not this method on it"),
    Reply(408, "DEADLINE_EXCEEDED", "The request did not arrive in time"),
    Reply(
        413, "PAYLOAD_TOO_LARGE", "The request body is larger than %METADATA(ROUTE:finlink:body)%"
    ),
    Reply(429, "RATE_LIMITED", "Too many requests"),
    Reply(431, "VALIDATION_ERROR", "The request headers are larger than 16 KiB or more than 64"),
    Reply(
        501, "VALIDATION_ERROR", _INVALID, sent=400,
        field=("Transfer-Encoding", "must be chunked, or left out; compressed bodies are not read"),
    ),
    Reply(504, "DEADLINE_EXCEEDED", "The request took too long"),
    Reply(
        500, "UNAVAILABLE", "The service is temporarily unavailable; try again shortly",
        sent=503, above=True,
    ),
    Reply(400, "VALIDATION_ERROR", _NO_HTTP, sent=400, above=True),
)  # fmt: skip


def fill(manager: dict[str, Any]) -> None:
    """Give a connection manager these replies, with the headers that it sets on all responses.

    Raises KeyError with the name of what the template lacks.
    """
    mutations = named(manager["http_filters"], HEADERS)["typed_config"]["mutations"]
    headers = [each["append"] for each in mutations["response_mutations"] if "append" in each]
    manager["local_reply_config"] = {"mappers": [_mapper(reply, headers) for reply in REPLIES]}


def _mapper(reply: Reply, headers: list[Any]) -> dict[str, Any]:
    details = []
    if reply.field is not None:
        name, right = reply.field
        details = [{"field": name, "message": right}]
    mapper: dict[str, Any] = part(
        "reply",
        op="GE" if reply.above else "EQ",
        status=reply.status,
        code=reply.code,
        message=reply.message,
        details=details,
        headers=headers,
    )
    return mapper if reply.sent is None else {**mapper, "status_code": reply.sent}
