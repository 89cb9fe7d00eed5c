"""The document has every route, field, bound and error of the contract, and no other.

Written from the descriptors alone, without what makes the document.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import pytest
from buf.validate import validate_pb2
from finlink.rules.v1 import format_pb2, rules_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from server.core.authorization import Reach
from server.rpc.method import Method
from server.rpc.status import COMMON, STATUSES
from tests.contract.descriptors import ids, methods
from tests.contract.test_contract_rpcs import reasons
from tests.openapi.document import document, operations, resolved

METHODS = methods()
OPERATIONS = operations()
# Of Envoy, about HTTP itself.
PROTOCOL = {"408": {"DEADLINE_EXCEEDED"}, "431": {"VALIDATION_ERROR"}}
TIMES = {"google.protobuf.Timestamp"}
MASKS = {"google.protobuf.FieldMask"}

every_rpc = pytest.mark.parametrize("method", METHODS, ids=ids(METHODS))


def camel(text: str) -> str:
    return re.sub(r"_([a-z])", lambda letter: letter[1].upper(), text)


def route(method: Method) -> tuple[str, str]:
    path = re.sub(r"\{(\w+)\}", lambda name: "{" + camel(name[1]) + "}", method.http_path)
    return method.verb, path


def operation(method: Method) -> dict[str, Any]:
    return OPERATIONS[route(method)]


def rules(field: FieldDescriptor) -> validate_pb2.FieldRules:
    return field.GetOptions().Extensions[validate_pb2.field]


def test_every_route_and_no_other() -> None:
    assert {route(method) for method in METHODS} == OPERATIONS.keys()


@every_rpc
def test_an_operation_says_what_it_is(method: Method) -> None:
    reported = operation(method)
    name = method.descriptor.name
    assert reported["operationId"] == name[0].lower() + name[1:]
    assert reported["summary"]
    assert reported["description"]
    assert reported["tags"][0] in {tag["name"] for tag in document()["tags"]}
    assert reported["security"] == _security(method)
    assert reported["x-rate-limit-group"] == method.rate_limit_group


def _security(method: Method) -> list[dict[str, list[str]]]:
    """The credentials with which a call may be made; the empty one stands for none."""
    scope = method.access.scope.name.lower()
    key: dict[str, list[str]] = {"apiKey": [scope]}
    token: dict[str, list[str]] = {"accessToken": []}
    of_reach: dict[Reach, list[dict[str, list[str]]]] = {
        Reach.PUBLIC: [{}],
        Reach.NONE: [key],
        Reach.SELF: [key, token] if method.rules.users.owner else [token],
        Reach.ROLE: [key, token],
    }
    return [*of_reach[method.access.reach], *([{}] if method.rules.open_without_keys else [])]


@every_rpc
def test_errors_are_those_of_the_contract(method: Method) -> None:
    codes = {*COMMON, *reasons(method)}
    if method.changes_state:
        codes.add("IDEMPOTENCY_KEY_REUSED")
    expected = {str(STATUSES[code][1]): set[str]() for code in codes} | PROTOCOL
    for code in codes:
        expected[str(STATUSES[code][1])].add(code)
    success = str(method.rules.success_status or 200)
    found = {
        status: of for status, of in operation(method)["responses"].items() if status != success
    }
    assert found.keys() == expected.keys()
    for status, reference in found.items():
        content = resolved(reference)["content"]["application/json"]
        fails = status == str(method.rules.failing_status)
        name = f"{method.descriptor.name}Failure" if fails else "ErrorResponse"
        assert content["schema"]["$ref"] == f"#/components/schemas/{name}"
        assert not fails or document()["components"]["schemas"][name]["properties"].keys() > {
            "data"
        }
        narrowed = content["schema"]["then"]["properties"]["error"]["properties"]["code"]
        assert set(narrowed["enum"]) == expected[status] == content["examples"].keys()


def test_every_code_is_documented() -> None:
    code = document()["components"]["schemas"]["ErrorCode"]
    assert set(code["enum"]) == STATUSES.keys()
    assert all(
        f"`{name}` ({status})" in code["description"] for name, (_, status) in STATUSES.items()
    )


@every_rpc
def test_parameters_are_the_fields_that_come_without_a_body(method: Method) -> None:
    found = {
        (parameter["in"], parameter["name"]): parameter
        for parameter in map(resolved, operation(method)["parameters"])
    }
    expected = {
        ("path" if field.name in method.path_fields else "query", camel(field.name)): field
        for field in method.request.fields
        if field.name in method.path_fields or field in method.query_fields.values()
    }
    headers = {name for place, name in found if place == "header"}
    assert {key for key in found if key[0] != "header"} == expected.keys()
    assert ("Idempotency-Key" in headers) == method.changes_state
    assert ("Last-Event-ID" in headers) == (
        method.rules.stream_form == rules_pb2.STREAM_FORM_SERVER_SENT_EVENTS
    )
    for key, field in expected.items():
        assert found[key]["required"] == needed(field)
        assert found[key]["description"]
        assert_bounds(found[key]["schema"], field)


@every_rpc
def test_the_body_has_the_other_fields(method: Method) -> None:
    body = operation(method).get("requestBody")
    assert bool(body) == method.has_body
    if body:
        sent = [field for field in method.request.fields if field.name not in method.path_fields]
        # An update of nothing is refused.
        updates = method.descriptor.name.startswith("Update")
        assert body["required"] == (updates or any(map(needed, sent)))
        assert_sent(body["content"]["application/json"]["schema"], sent)


@every_rpc
def test_the_reply_has_all_fields(method: Method) -> None:
    success = operation(method)["responses"][str(method.rules.success_status or 200)]
    (content,) = success["content"].values()
    if method.returns_raw_body:
        assert content["schema"] in ({"type": "object"}, {"type": "string", "format": "binary"})
    elif method.descriptor.server_streaming:
        assert_got(content["x-item-schema"], method.descriptor.output_type, set())
    else:
        assert_got(
            content["schema"], method.descriptor.output_type, set(), {"success", "timestamp"}
        )


def needed(field: FieldDescriptor) -> bool:
    if field.is_repeated:
        of = rules(field)
        return bool(of.repeated.min_items) and not of.ignore
    return bool(rules(field).required) or not field.has_presence


def assert_sent(reference: dict[str, Any], fields: list[FieldDescriptor]) -> None:
    schema = resolved(reference)
    assert schema["additionalProperties"] is False
    assert schema["properties"].keys() == {camel(field.name) for field in fields}
    assert set(schema.get("required", ())) == {camel(f.name) for f in fields if needed(f)}
    for field in fields:
        reported = schema["properties"][camel(field.name)]
        assert reported["description"], field.full_name
        if field.message_type is None or field.message_type.full_name in MASKS:
            assert takes_null(reported) != needed(field), "null is as not sent"
            assert_bounds(reported, field)
        else:
            inner, nothing = reported["anyOf"]
            assert nothing == {"type": "null"}
            assert_sent(inner, list(field.message_type.fields))


def takes_null(schema: dict[str, Any]) -> bool:
    if "anyOf" in schema:
        return {"type": "null"} in schema["anyOf"]
    return "null" in resolved(schema)["type"]


def listed(schema: dict[str, Any]) -> list[str]:
    """The closed list that a string is restricted to."""
    (first, *_) = schema.get("anyOf", [schema])
    return list(resolved(first).get("enum", ()))


def assert_bounds(schema: dict[str, Any], field: FieldDescriptor) -> None:
    """Every bound of the contract, written as JSON Schema has it."""
    of = rules(field)
    if field.is_repeated:
        assert schema.get("minItems", 0) == of.repeated.min_items
        assert schema.get("maxItems", 0) == of.repeated.max_items
        assert schema.get("uniqueItems", False) == of.repeated.unique
        schema, text = schema["items"], of.repeated.items.string
    else:
        text = of.string
    if field.message_type is not None:
        allowed = {camel(name) for name in getattr(of.field_mask, "in")}
        assert allowed
        assert re.search(schema["pattern"], ",".join(sorted(allowed)))
        assert not re.search(schema["pattern"], "other")
    elif field.type == FieldDescriptor.TYPE_STRING:
        assert_text(schema, text, field)
    elif field.type == FieldDescriptor.TYPE_INT32:
        assert schema["minimum"] == (of.int32.gte if of.int32.HasField("gte") else -(2**31))
        assert schema["maximum"] == (of.int32.lte if of.int32.HasField("lte") else 2**31 - 1)
    elif field.type == FieldDescriptor.TYPE_DOUBLE:
        assert schema["exclusiveMinimum"] == of.double.gt
        assert of.double.finite
        assert schema["maximum"] < float("inf")


def assert_text(
    schema: dict[str, Any], text: validate_pb2.StringRules, field: FieldDescriptor
) -> None:
    assert listed(schema) == list(getattr(text, "in"))
    if listed(schema):
        return
    if schema.get("format") == "date":
        assert text.max_len == len("2026-01-15"), "the format says as much"
        return
    assert schema.get("minLength", 0) == text.min_len
    assert schema.get("maxLength", 0) == text.max_len
    assert (schema.get("format") == "email") == text.email
    if text.pattern:
        assert schema["pattern"] == text.pattern
    if schema.get("pattern") and not text.pattern and not rules(field).cel:
        assert not re.search(schema["pattern"], "a\x00"), "control characters are refused"
    if field.GetOptions().Extensions[format_pb2.format]:
        assert "format" in schema
    else:
        assert schema.get("pattern"), "text without a pattern takes control characters"
    assert (schema.get("format") == "password") == field.GetOptions().debug_redact


def assert_got(
    reference: dict[str, Any],
    message: Descriptor,
    seen: set[str],
    envelope: Collection[str] = (),
) -> None:
    if message.full_name in seen:
        return
    seen.add(message.full_name)
    schema = resolved(reference)
    assert "additionalProperties" not in schema, "replies may gain fields"
    names = {camel(field.name) for field in message.fields}
    assert schema["properties"].keys() == names.union(envelope)
    always = {camel(f.name) for f in message.fields if not f.has_presence or rules(f).required}
    assert set(schema.get("required", ())) == always.union(envelope)
    for field in message.fields:
        reported = schema["properties"][camel(field.name)]
        assert reported["description"], field.full_name
        inner = reported.get("items", reported)
        if field.message_type is None:
            text = rules(field).repeated.items.string if field.is_repeated else rules(field).string
            assert listed(inner) == list(getattr(text, "in"))
        elif field.message_type.GetOptions().map_entry:
            value = field.message_type.fields_by_name["value"].message_type
            if value is not None:
                assert_got(reported["additionalProperties"], value, seen)
        elif field.message_type.full_name in TIMES:
            assert inner["format"] == "date-time"
        else:
            assert_got(inner, field.message_type, seen)
