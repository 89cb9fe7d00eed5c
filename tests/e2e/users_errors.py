"""Errors as callers get them, over REST and over gRPC, taken apart and checked for their shape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import grpc
import httpx
from google.rpc import error_details_pb2, status_pb2

from server.rpc.status import STATUSES

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3,9})?Z")
KEYS = {"code", "message", "details", "timestamp", "path"}


@dataclass(frozen=True)
class Failure:
    """What went wrong with a call, however it was made."""

    code: str
    message: str
    fields: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


def is_instant(text: str) -> bool:
    return bool(INSTANT.fullmatch(text)) and datetime.fromisoformat(text).tzinfo == UTC


def rest_error(status: int, content: bytes, path: str | None) -> Failure:
    """The error of a REST answer, which must have the one shape, and the status of its code."""
    body: dict[str, Any] = json.loads(content)
    assert body.keys() == {"success", "error", "timestamp"}
    assert body["success"] is False
    assert is_instant(body["timestamp"])
    error = body["error"]
    assert error.keys() - {"metadata"} == KEYS
    assert error["code"] in STATUSES, error
    assert status == STATUSES[error["code"]][1], error
    assert status < 500, error
    assert isinstance(error["message"], str)
    assert error["message"]
    assert is_instant(error["timestamp"])
    assert error["path"] == path
    for detail in error["details"]:
        assert detail.keys() == {"field", "message"}
        assert detail["message"]
    fields = {detail["field"]: detail["message"] for detail in error["details"]}
    assert len(fields) == len(error["details"]), "each field is named once"
    return Failure(error["code"], error["message"], fields, error.get("metadata", {}))


def failed(reply: httpx.Response) -> Failure:
    """The error of a REST answer to httpx."""
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"]
    internal = [
        name for name in reply.headers if name.startswith(("grpc-", "x-finlink", "x-envoy"))
    ]
    assert internal == []
    return rest_error(reply.status_code, reply.content, reply.request.url.path)


def grpc_error(raised: grpc.RpcError) -> Failure:
    """The error of a gRPC call, whose details must be there and agree with its status."""
    call = cast(grpc.Call, raised)
    trailers = dict(cast(Iterable[tuple[str, str | bytes]], call.trailing_metadata() or ()))
    details = trailers.get("grpc-status-details-bin")
    assert isinstance(details, bytes), f"no details: {call.code()} {call.details()}"
    status = status_pb2.Status.FromString(details)
    assert status.code == call.code().value[0]
    assert status.message == call.details()
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert info.domain == "finlink"
    assert STATUSES[info.reason][0] == call.code()
    assert not [name for name in trailers if name.startswith("x-finlink")]
    for detail in status.details[1:]:
        detail.Unpack(bad)
    fields = {violation.field: violation.description for violation in bad.field_violations}
    return Failure(info.reason, status.message, fields, dict(info.metadata))
