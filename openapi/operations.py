"""RPCs as operations: parameters, body, replies."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from codegen.derived_rules import words
from openapi import access, contract, examples, rules
from openapi.errors import HEADERS, Responses
from openapi.schemas import Schemas
from server.rpc.method import Method
from server.rpc.streams import FORMS

Operation = dict[str, Any]

_STATUS_WORDS = {200: "Done.", 201: "Created."}
_TEXT = {"type": "string"}
# Also of lines of JSON: generated clients give bytes as they are, but refuse text of an unknown media type.
_BYTES = {"type": "string", "format": "binary"}
_LIMIT_HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


class Operations:
    """Makes the operations of a document, and what they refer to."""

    def __init__(self, schemas: Schemas, responses: Responses) -> None:
        self._schemas = schemas
        self._responses = responses

    def of(self, method: Method, tag: str) -> Operation:
        name = method.descriptor.name
        said = contract.comment(method.descriptor.full_name)
        group = method.rate_limit_group
        others = "".join(f" Also at `{path}`." for path in method.other_paths)
        needs = f"{access.described(method.access)} Counts as a call of `{group}`.{others}"
        operation: Operation = {
            "operationId": name[0].lower() + name[1:],
            "tags": [tag],
            "summary": _words(name),
            "description": f"{said}\n\n{needs}",
            "security": access.security(method.access),
            "x-rate-limit-group": group,
            "parameters": [*self._parameters(method), *_headers(method)],
        }
        if method.has_body:
            operation["requestBody"] = self._body(method)
        success = self._success(method)
        operation["responses"] = {str(method.success_status): success} | self._responses.of(method)
        if method.failing_status != method.success_status:
            self._add_failing(method, operation["responses"])
        return operation

    def _add_failing(self, method: Method, responses: dict[str, Any]) -> None:
        """A reply that reports a failure has what every other has; with the same status come errors."""
        status = str(method.failing_status)
        error = self._responses.resolved(responses[status])
        content = error["content"]["application/json"]
        either = self._schemas.failing_reply(method, content["schema"])
        responses[status] = error | {
            "description": f"The reply reports a failure. Or\n\n{error['description']}",
            "content": {"application/json": content | {"schema": either}},
        }

    def _parameters(self, method: Method) -> list[dict[str, Any]]:
        in_path = [f for f in method.request.fields if f.name in method.path_fields]
        in_query = method.query_fields.values()
        return [
            *(self._parameter(field, "path") for field in in_path),
            *(self._parameter(field, "query") for field in in_query),
        ]

    def _parameter(self, field: FieldDescriptor, place: str) -> dict[str, Any]:
        made: dict[str, Any] = {
            "name": field.json_name,
            "in": place,
            "required": place == "path" or rules.is_required(field),
            "description": contract.comment(field.full_name),
            "schema": self._schemas.parameter(field),
        }
        listed = rules.words_of(field)
        if made["required"]:
            made["example"] = words(listed)[0] if listed else examples.parameter(field)
        elif not listed and field.json_name in examples.PARAMETERS:
            made["schema"]["examples"] = [
                examples.PARAMETERS[field.json_name]
            ]  # shown, but not filled in
        return made

    def _body(self, method: Method) -> dict[str, Any]:
        if method.takes_raw_body:
            return {"required": True, "content": {"*/*": {"schema": _BYTES}}}
        schema, required = self._schemas.body(method)
        shown = examples.bodies(method)
        return {"required": required, "content": {"application/json": _content(schema, shown)}}

    def _success(self, method: Method) -> dict[str, Any]:
        if method.returns_raw_body:
            made = {"description": _STATUS_WORDS[method.success_status], "headers": HEADERS}
            if method.http_path.endswith(".json"):
                return made | {"content": {"application/json": {"schema": {"type": "object"}}}}
            return made | {"content": {"*/*": {"schema": _BYTES}}}
        reply = method.descriptor.output_type
        schema = (self._schemas.bare if method.streams else self._schemas.reply)(reply)
        headers = HEADERS | {
            name: {"$ref": f"#/components/headers/{name}"} for name in _LIMIT_HEADERS
        }
        made = {"description": _STATUS_WORDS[method.success_status], "headers": headers}
        if not method.streams:
            shown = {
                name: examples.enveloped(body) for name, body in examples.replies(method).items()
            }
            return made | {"content": {"application/json": _content(schema, shown)}}
        messages = examples.stream(method)
        text = "".join(_streamed(method, message) for message in messages)
        content = {
            # OpenAPI 3.1 has no word for the schema of one message of a stream.
            "schema": (_TEXT if method.is_resumed else _BYTES)
            | {"description": contract.comment(reply.full_name)},
            "x-item-schema": schema,
            "example": text,
        }
        return made | {"content": {FORMS[method.stream_form].content_type: content}}


def _words(name: str) -> str:
    """`Create user` of `CreateUser`."""
    return re.sub(r"(?<=[a-z])[A-Z]", lambda letter: " " + letter.group().lower(), name)


def _content(schema: dict[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    examples = {
        "".join(word.strip(",").capitalize() for word in name.split()): {
            "summary": name,
            "value": value,
        }
        for name, value in shown.items()
    }
    return {"schema": schema, "examples": examples}


def _streamed(method: Method, message: dict[str, Any]) -> str:
    data = json.dumps(message)
    if method.is_resumed:
        return f"id: {message['resumeToken']}\nevent: {message['type']}\ndata: {data}\n\n"
    return data + "\n"


def _headers(method: Method) -> list[dict[str, str]]:
    names = ["x-request-id"]
    if method.changes_state:
        names.append("Idempotency-Key")
    if method.is_resumed:
        names.append("Last-Event-ID")
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]
