"""Envoy's own replies in the shape of all errors."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from server.edge.limits import named

HEADERS = "envoy.filters.http.header_mutation"


@dataclass(frozen=True)
class Reply:
    """What callers get where Envoy replies with a status. The first that fits is taken."""

    status: int
    code: str  # an ErrorReason of the contract
    message: str
    sent: int | None = None  # the status that goes out, where it is another
    above: bool = False  # fits every status from `status` on


_TIME = "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%"
_NO_HTTP = "The request is not valid HTTP, or its path has escaped slashes"
REPLIES = (
    Reply(400, "VALIDATION_ERROR", _NO_HTTP),
    Reply(404, "ROUTE_NOT_FOUND", "No such path, or not this method on it"),
    Reply(408, "DEADLINE_EXCEEDED", "The request did not arrive in time"),
    Reply(
        413, "PAYLOAD_TOO_LARGE", "The request body is larger than %METADATA(ROUTE:finlink:body)%"
    ),
    Reply(429, "RATE_LIMITED", "Too many requests"),
    Reply(431, "VALIDATION_ERROR", "The request headers are larger than 16 KiB or more than 64"),
    Reply(501, "VALIDATION_ERROR", _NO_HTTP, sent=400),  # a transfer encoding nobody knows
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
    mappers = [{**mapper, "headers_to_add": headers} for mapper in _mappers()]
    manager["local_reply_config"] = {"mappers": mappers}


def _mappers() -> Iterator[dict[str, Any]]:
    for reply in REPLIES:
        value = {"default_value": reply.status, "runtime_key": "local_reply.unused"}
        comparison = {"op": "GE" if reply.above else "EQ", "value": value}
        mapper: dict[str, Any] = {
            "filter": {"status_code_filter": {"comparison": comparison}},
            "body_format_override": {
                "content_type": "application/json",
                "json_format": {
                    "success": False,
                    "timestamp": _TIME,
                    "error": {
                        "code": reply.code,
                        "message": reply.message,
                        "details": [],
                        "timestamp": _TIME,
                        "path": "%PATH(NQ:ORIG_OR_PATH)%",
                    },
                },
            },
        }
        if reply.sent is not None:
            mapper["status_code"] = reply.sent
        yield mapper
