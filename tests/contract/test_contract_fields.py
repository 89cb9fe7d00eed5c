"""Every field a caller can send is bounded, checked, and of a kind the server reads strictly."""

from __future__ import annotations

import re

import pytest
from buf.validate import validate_pb2
from finlink.connectors.v1 import session_pb2
from finlink.rules.v1 import format_pb2
from finlink_words import PLATFORMS
from google.protobuf.descriptor import FieldDescriptor

from server.rpc import json_values
from server.rpc.formats import CHECKS
from server.rpc.method import Method
from tests.contract.descriptors import MASK, VALUES, ids, methods, request_fields

METHODS = methods()
FIELDS = request_fields()
FORMATS = {number for number in format_pb2.Format.values() if number}

every_field = pytest.mark.parametrize("field", FIELDS, ids=[field.full_name for field in FIELDS])
every_rpc = pytest.mark.parametrize("method", METHODS, ids=ids(METHODS))


def rules_of(field: FieldDescriptor) -> validate_pb2.FieldRules:
    return field.GetOptions().Extensions[validate_pb2.field]


def format_of(field: FieldDescriptor) -> int:
    return int(field.GetOptions().Extensions[format_pb2.format])


def is_bounded(text: validate_pb2.StringRules) -> bool:
    ends = text.pattern.endswith("$") and not re.search(r"(?<!\\)[*+]", text.pattern)
    return bool(text.max_len or text.max_bytes or text.len or getattr(text, "in") or ends)


@every_field
def test_is_of_a_kind_the_json_binder_reads(field: FieldDescriptor) -> None:
    oneof = field.containing_oneof
    assert oneof is None or len(oneof.fields) == 1, "only the oneof of an `optional` field"
    if field.message_type is None:
        assert field.type in json_values.FROM_JSON
        if field.is_repeated:
            assert field.type == FieldDescriptor.TYPE_STRING
    elif field.message_type.GetOptions().map_entry:
        of = json_values.map_value(field)  # a map from texts
        assert of.type in json_values.FROM_JSON or is_of_ours(of)
    elif field.is_repeated:
        assert is_of_ours(field)
    else:
        assert is_of_ours(field) or field.message_type.full_name in VALUES


def is_of_ours(field: FieldDescriptor) -> bool:
    message = field.message_type
    return message is not None and message.full_name.startswith("finlink.")


@every_rpc
def test_a_query_has_simple_values_only(method: Method) -> None:
    known = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_BOOL}
    for field in method.query_fields.values():
        assert field.type in known, f"{field.full_name} cannot be read from a query"


@every_rpc
def test_what_may_be_absent_has_presence(method: Method) -> None:
    """Otherwise an absent number or flag could not be told from 0 and false."""
    for field in method.request.fields:
        if not field.is_repeated and field.type != FieldDescriptor.TYPE_STRING:
            assert field.has_presence, field.full_name


@every_field
def test_is_bounded(field: FieldDescriptor) -> None:
    rules = rules_of(field)
    if field.message_type and field.message_type.GetOptions().map_entry:
        assert rules.map.max_pairs
        assert is_bounded(rules.map.keys.string)
        text = json_values.map_value(field).type == FieldDescriptor.TYPE_STRING
        assert not text or is_bounded(rules.map.values.string)
    elif field.is_repeated and field.message_type:
        assert rules.repeated.max_items
    elif field.is_repeated:
        items = rules.repeated.items.string
        words = getattr(items, "in")
        assert rules.repeated.max_items or (rules.repeated.unique and words)
        assert is_bounded(items)
    elif field.type == FieldDescriptor.TYPE_STRING:
        assert is_bounded(rules.string) or format_of(field) in FORMATS
    elif field.type == FieldDescriptor.TYPE_DOUBLE:
        assert rules.double.finite
    elif field.type == FieldDescriptor.TYPE_INT32:
        assert rules.int32.HasField("gte")
    elif field.message_type and field.message_type.full_name == MASK:
        assert getattr(rules.field_mask, "in")


@every_rpc
def test_fields_that_exclude_each_other_have_presence(method: Method) -> None:
    for choice in method.request.GetOptions().Extensions[validate_pb2.message].oneof:
        assert len(choice.fields) > 1
        assert choice.required, "what excludes each other and may be absent has no check yet"
        for name in choice.fields:
            assert method.request.fields_by_name[name].has_presence, name


@every_field
def test_a_format_is_on_a_string_and_has_a_check(field: FieldDescriptor) -> None:
    if format_of(field):
        assert field.type == FieldDescriptor.TYPE_STRING
        assert format_of(field) in CHECKS


def test_every_format_has_a_check_and_is_used() -> None:
    assert CHECKS.keys() == FORMATS
    assert {format_of(field) for field in FIELDS} - {0} == FORMATS


def test_a_pattern_has_words_for_people() -> None:
    from server.rpc import validation  # noqa: PLC0415 - its table only

    patterns = {
        text.pattern
        for field in FIELDS
        for text in (rules_of(field).string, rules_of(field).repeated.items.string)
        if text.pattern
    }
    assert patterns <= validation._PATTERNS.keys()
    assert all(pattern.startswith("^") and pattern.endswith("$") for pattern in patterns)


@every_rpc
def test_an_update_mask_names_the_fields_of_its_request(method: Method) -> None:
    mask = method.request.fields_by_name.get("update_mask")
    if mask is None:
        return
    allowed = set(getattr(rules_of(mask).field_mask, "in"))
    sent = {field.name for field in method.sent_fields.values()} - {"update_mask"}
    assert allowed == sent


def test_a_platform_is_one_of_the_same_words_wherever_it_is_asked_for() -> None:
    asked = [field for field in FIELDS if field.name == "platform"]
    assert asked
    for field in asked:
        assert tuple(getattr(rules_of(field).string, "in")) == PLATFORMS, field.full_name


def test_secrets_are_marked_so_that_nothing_prints_them() -> None:
    fields = session_pb2.Credentials.DESCRIPTOR.fields
    assert fields
    assert [field.name for field in fields if not field.GetOptions().debug_redact] == []
