"""Field rules as JSON Schema."""

from __future__ import annotations

import sys
from typing import Any

from buf.validate import validate_pb2
from finlink.rules.v1 import format_pb2, words_pb2
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

Schema = dict[str, Any]

# Every text is refused that has one of these.
NO_CONTROL_CHARACTERS = r"^[^\x00-\x1f\x7f-\x9f]*$"
_DAY = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = r"[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_OFFSET = "([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
# Patterns describe the whole text, from ^ to $: generated clients search, match from the start, or match all
# of it, as their languages do.
_FORMATS: dict[int, Schema] = {
    format_pb2.FORMAT_PHONE_NUMBER: {
        "format": "phone-number",
        "pattern": r"^\+[^\x00-\x1f\x7f-\x9f]*$",
    },
    format_pb2.FORMAT_CURRENCY_CODE: {"format": "currency-code", "pattern": "^[A-Z]{3}$"},
    format_pb2.FORMAT_LANGUAGE_TAG: {"format": "language-tag", "pattern": "^[A-Za-z0-9-]+$"},
    format_pb2.FORMAT_PAST_DATE: {"format": "date"},
    # One type for both: of a choice between formats, generated clients make no type at all.
    format_pb2.FORMAT_DATE_OR_TIME: {
        "format": "date-or-time",
        "pattern": f"^{_DAY}({_TIME}{_OFFSET})?$",
    },
}
# CEL rules in the words that JSON Schema has.
_EXPRESSIONS: dict[str, Schema] = {"string.email.domain": {"pattern": r"^[^@]*@[^@]*\.[^@]*$"}}


def rules_of(field: FieldDescriptor) -> validate_pb2.FieldRules:
    return field.GetOptions().Extensions[validate_pb2.field]


def words_of(field: FieldDescriptor) -> EnumDescriptor | None:
    """The closed list that a string is restricted to."""
    name = field.GetOptions().Extensions[words_pb2.words]
    if not name:
        return None
    if "." not in name and field.containing_type is not None:
        name = f"{field.containing_type.file.package}.{name}"
    return descriptor_pool.Default().FindEnumTypeByName(name)


def is_required(field: FieldDescriptor) -> bool:
    """Whether a request must have it: it has no way to be absent, or says so."""
    if field.is_repeated:
        rules = rules_of(field)
        return rules.repeated.min_items > 0 and rules.ignore != validate_pb2.IGNORE_IF_ZERO_VALUE
    return not field.has_presence or rules_of(field).required


def scalar(field: FieldDescriptor) -> Schema:
    """The schema of one value of a field that holds no message."""
    rules = rules_of(field)
    if field.type == FieldDescriptor.TYPE_STRING:
        return _string(rules.repeated.items.string if field.is_repeated else rules.string, field)
    if field.type == FieldDescriptor.TYPE_INT32:
        return {
            "type": "integer", "format": "int32",
            "minimum": rules.int32.gte if rules.int32.HasField("gte") else -(2**31),
            "maximum": rules.int32.lte if rules.int32.HasField("lte") else 2**31 - 1,
        }  # fmt: skip
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        schema: Schema = {"type": "number", "format": "double"}
        if rules.double.HasField("gt"):
            schema["exclusiveMinimum"] = _plain(rules.double.gt)
        if rules.double.finite:
            schema["maximum"] = sys.float_info.max
        return schema
    if field.type == FieldDescriptor.TYPE_BOOL:
        return {"type": "boolean"}
    raise TypeError(f"{field.full_name} is of a kind that no schema is known for; add it here")


def many(field: FieldDescriptor, items: Schema) -> Schema:
    """A list of values."""
    rules = rules_of(field).repeated
    schema: Schema = {"type": "array", "items": items}
    if rules.min_items:
        schema["minItems"] = rules.min_items
    if rules.max_items:
        schema["maxItems"] = rules.max_items
    if rules.unique:
        schema["uniqueItems"] = True
    return schema


def mapped(field: FieldDescriptor, values: Schema) -> Schema:
    """Values by text."""
    rules = rules_of(field).map
    schema: Schema = {"type": "object", "additionalProperties": values}
    if rules.min_pairs:
        schema["minProperties"] = rules.min_pairs
    if rules.max_pairs:
        schema["maxProperties"] = rules.max_pairs
    if rules.keys.string.max_len:
        schema["propertyNames"] = {"maxLength": rules.keys.string.max_len}
    return schema


def field_mask(field: FieldDescriptor) -> Schema:
    """Names of fields and of what is in them, separated by commas."""
    words = sorted(_camel(path) for path in _mask_paths(field))
    one = r"\s*(" + "|".join(word.replace(".", r"\.") for word in words) + r")\s*"
    return {"type": "string", "pattern": rf"^(\s*|{one}(,{one})*)$"}


def _mask_paths(field: FieldDescriptor) -> list[str]:
    paths: list[str] = []
    request = field.containing_type
    if request is None:
        raise TypeError(f"{field.full_name} is in no message")
    for name in getattr(rules_of(field).field_mask, "in"):
        paths.append(name)
        message = request.fields_by_name[name].message_type
        paths += [f"{name}.{inner.name}" for inner in (message.fields if message else ())]
    return paths


def _camel(path: str) -> str:
    first, *rest = path.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _string(rules: validate_pb2.StringRules, field: FieldDescriptor) -> Schema:
    schema: Schema = {"type": "string"}
    if rules.min_len:
        schema["minLength"] = rules.min_len
    if rules.max_len:
        schema["maxLength"] = rules.max_len
    if rules.pattern:
        schema["pattern"] = rules.pattern
    if rules.email:
        schema["format"] = "email"
    for expression in rules_of(field).cel:
        schema |= _EXPRESSIONS[expression.id]
    if number := field.GetOptions().Extensions[format_pb2.format]:
        schema |= _FORMATS[number]
    if schema.get("format") == "date":
        # A type of its own in generated clients, where rules for text fail. The format says as much.
        return {"type": "string", "format": "date"}
    return schema


def _plain(number: float) -> float | int:
    return int(number) if number.is_integer() else number
