"""The error responses: one for each status and set of codes."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from finlink.errors.v1.error_reason_pb2 import ErrorReason

from openapi import contract, examples
from openapi.rules import Schema
from openapi.schemas import SUCCESS, TIMESTAMP, object_rule, reference
from server.rpc.method import Method
from server.rpc.status import COMMON, STATUSES

# Errors of HTTP itself, before there is a call: Envoy's own replies.
PROTOCOL = {
    408: ("RequestTimeout", "DEADLINE_EXCEEDED", "The request did not arrive within 15 seconds."),
    431: ("HeadersTooLarge", "VALIDATION_ERROR", "The headers are larger than 16 KiB or more than 64."),
}  # fmt: skip
HEADERS: dict[str, Any] = {"x-request-id": {"$ref": "#/components/headers/x-request-id"}}

# Each object has a name of its own, and none that languages have for something else: generated clients name
# their types after them.
SCHEMAS: dict[str, Schema] = {
    "ErrorResponse": {
        "type": "object",
        "description": "Every error, from Finlink or from Envoy.",
        "required": ["success", "error", "timestamp"],
        "properties": {
            "success": SUCCESS,
            "error": reference("ErrorBody"),
            "timestamp": TIMESTAMP,
        },
    },
    "ErrorBody": {
        "type": "object",
        "description": "What went wrong.",
        "required": ["code", "message", "details", "timestamp", "path"],
        "properties": {
            "code": reference("ErrorCode"),
            "message": {"type": "string", "description": "For people; holds no secret."},
            "details": {
                "type": "array",
                "description": "Each field that is wrong; empty where none is to blame.",
                "items": reference("ErrorDetail"),
            },
            "timestamp": TIMESTAMP,
            "path": {
                "type": ["string", "null"],
                "description": "The path that was called, without its query.",
            },
            "metadata": {
                "type": "object",
                "description": "Facts for programs, such as `loginUrl`; mostly absent.",
                "additionalProperties": {"type": "string"},
            },
        },
    },
    "ErrorDetail": {
        "type": "object",
        "description": "A field that is wrong.",
        "required": ["field", "message"],
        "properties": {
            "field": {"type": "string", "description": "Its name in JSON."},
            "message": {"type": "string", "description": "The rule that the field breaks."},
        },
    },
}


def codes_of(method: Method) -> list[str]:
    """All that an RPC can fail with, its own first."""
    own = [ErrorReason.Name(reason).removeprefix("ERROR_REASON_") for reason in method.rules.errors]
    if method.changes_state:
        own.append("IDEMPOTENCY_KEY_REUSED")
    return [*own, *COMMON]


def meaning(code: str) -> str:
    """The comment of a code."""
    return contract.comment(f"finlink.errors.v1.ERROR_REASON_{code}")


def code_schema() -> Schema:
    lines = [f"- `{code}` ({status}): {meaning(code)}" for code, (_, status) in STATUSES.items()]
    return {"type": "string", "description": "\n".join(lines), "enum": list(STATUSES)}


class Responses:
    """Makes the error responses, each once."""

    def __init__(self) -> None:
        self.components: dict[str, Any] = {}

    def of(self, method: Method) -> dict[str, Any]:
        """References by status."""
        by_status: dict[int, list[str]] = defaultdict(list)
        for code in codes_of(method):
            by_status[STATUSES[code][1]].append(code)
        named = {status: self._response(codes) for status, codes in by_status.items()}
        for status, (name, code, said) in PROTOCOL.items():
            named[status] = name
            self.components.setdefault(name, _response([code], said))
        return {
            str(status): {"$ref": f"#/components/responses/{named[status]}"}
            for status in sorted(named)
        }

    def resolved(self, reference: dict[str, str]) -> dict[str, Any]:
        """The response that a reference of `of` is to."""
        response: dict[str, Any] = self.components[reference["$ref"].rpartition("/")[2]]
        return response

    def _response(self, codes: list[str]) -> str:
        own = [code for code in codes if code not in COMMON]
        name = "Or".join(_camel(code) for code in own or codes)
        said = "\n".join(f"- `{code}`: {meaning(code)}" for code in codes)
        self.components.setdefault(name, _response(codes, said))
        return name


def _response(codes: list[str], said: str) -> dict[str, Any]:
    narrowed = {"properties": {"error": {"properties": {"code": {"enum": codes}}}}}
    headers = dict(HEADERS)
    if "RATE_LIMITED" in codes:
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    return {
        "description": said,
        "headers": headers,
        "content": {
            "application/json": {
                "schema": reference("ErrorResponse") | object_rule(narrowed),
                "examples": {code: {"value": examples.error(code)} for code in codes},
            }
        },
    }


def _camel(code: str) -> str:
    return "".join(word.capitalize() for word in code.split("_"))
