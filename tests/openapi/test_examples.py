"""Every example is right: by the document's schemas, and by the contract's own rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from google.api import httpbody_pb2
from google.protobuf import json_format

from openapi import contract, examples
from server.rpc.http_binding import HTTP_BODY_FIELD, HttpBinding
from server.rpc.json_form import json_writer
from server.rpc.method import Method
from server.rpc.status import STATUSES
from server.rpc.validation import Validation
from tests.contract.descriptors import ids, methods
from tests.openapi.document import problems, resolved
from tests.openapi.test_completeness import operation

METHODS = methods()
STREAMS = [method for method in METHODS if method.streams]
SHOWN = [method for method in METHODS if not method.returns_raw_body]
SENT = [method for method in METHODS if method.takes_json]

every_rpc = pytest.mark.parametrize("method", METHODS, ids=ids(METHODS))


def shown(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for example in content["examples"].values():
        yield example["value"]


def parameters(method: Method) -> dict[str, Any]:
    """The examples of what comes in the path and the query, by JSON name."""
    found = {}
    for parameter in map(resolved, operation(method)["parameters"]):
        schema = resolved(parameter["schema"])
        examples = [*schema.get("enum", ())[:1], *schema.get("examples", ())]
        if "example" in parameter or examples:
            found[parameter["name"]] = parameter.get("example", *examples[:1])
            assert problems(schema, found[parameter["name"]]) == []
    return found


@every_rpc
def test_requests_are_taken(method: Method) -> None:
    """As the server takes them: read strictly, then held against the rules."""
    given = parameters(method)
    if method in SENT:
        content = operation(method)["requestBody"]["content"]["application/json"]
        for body in shown(content):
            assert problems(content["schema"], body) == []
            assert refused(method, given, json.dumps(body).encode(), "") == []
    else:
        query = {name: in_query(given[name]) for name in method.sent_fields if name in given}
        assert refused(method, given, b"", urlencode(query, doseq=True)) == []


def in_query(value: object) -> object:
    return json.dumps(value) if isinstance(value, bool) else value


def refused(method: Method, given: dict[str, Any], body: bytes, query: str) -> list[object]:
    message = method.request_class()
    for field in method.request.fields:
        if field.name in method.path_fields:
            setattr(message, field.name, given[field.json_name])
    if body:
        message.MergeFromString(http_body(body))
    wrong: list[object] = list(HttpBinding(method).bind(message, query))
    return wrong + list(Validation(method.request).check(message))


def http_body(body: bytes) -> bytes:
    """As Envoy puts the body beside the path's fields."""
    content = httpbody_pb2.HttpBody(content_type="application/json", data=body)
    data: bytes = content.SerializeToString()
    return varint(HTTP_BODY_FIELD << 3 | 2) + varint(len(data)) + data


def varint(number: int) -> bytes:
    digits = []
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


@pytest.mark.parametrize("method", SHOWN, ids=ids(SHOWN))
def test_replies_are_as_the_server_writes_them(method: Method) -> None:
    success = operation(method)["responses"][str(method.success_status)]
    (content,) = success["content"].values()
    if method.streams:
        schema, values = content["x-item-schema"], list(messages(content["example"], method))
    else:
        schema, values = content["schema"], list(shown(content))
    assert values
    write = json_writer(method.descriptor.output_type)
    for value in values:
        assert problems(schema, value) == []
        if not method.streams:
            assert value.pop("success") is True
            del value["timestamp"]
        message = json_format.ParseDict(value, method.response_class())
        assert json.loads(write(message)) == value


def messages(content: str, method: Method) -> Iterator[dict[str, Any]]:
    for line in content.splitlines():
        if not method.is_resumed:
            yield json.loads(line)
        elif line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


@every_rpc
def test_errors_have_their_shape(method: Method) -> None:
    for status, reference in operation(method)["responses"].items():
        if status == str(method.success_status):
            continue
        content = resolved(reference)["content"]["application/json"]
        for code, example in content["examples"].items():
            assert problems(content["schema"], example["value"]) == []
            assert example["value"]["error"]["code"] == code


def test_no_example_is_left_over() -> None:
    names = {method.descriptor.name for method in SHOWN}
    streams = {method.descriptor.name for method in STREAMS}
    assert examples.BODIES.keys() <= {method.descriptor.name for method in SENT}
    assert examples.REPLIES.keys() <= names - streams
    assert examples.STREAMS.keys() == streams
    assert examples.ERRORS.keys() <= STATUSES.keys()
    known = {name for file in contract.files() for name in (m.name for m in file.message_type)}
    assert examples.MESSAGES.keys() <= known
