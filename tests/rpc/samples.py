"""Request messages for property tests: valid ones by the contract's rules, and values that break one rule."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Set
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any

from buf.validate import validate_pb2
from finlink.rules.v1 import format_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from server.rpc.method import Method
from tests.contract.descriptors import methods

METHODS: dict[str, Method] = {method.descriptor.name: method for method in methods()}

# What a person may write: no control characters, no lone surrogates.
TEXT = st.characters(exclude_categories=["Cc", "Cs"])
CONTROL = st.characters(categories=["Cc"])

_YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
_DATES = st.dates(date(1850, 1, 1), _YESTERDAY).map(date.isoformat)
FORMATS: Mapping[int, st.SearchStrategy[str]] = {
    format_pb2.FORMAT_PHONE_NUMBER: st.sampled_from(
        ["+91-9876543210", "+91 98765 43210", "+1 (650) 253-0000", "+442079460018", "+49 30 901820"]
    ),
    format_pb2.FORMAT_CURRENCY_CODE: st.sampled_from(["INR", "USD", "EUR", "JPY", "CHF"]),
    format_pb2.FORMAT_LANGUAGE_TAG: st.sampled_from(["en", "hi", "pt-BR", "zh-Hant-TW", "sr-Latn"]),
    format_pb2.FORMAT_PAST_DATE: _DATES,
    format_pb2.FORMAT_DATE_OR_TIME: _DATES
    | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
}
BAD_FORMATS: Mapping[int, st.SearchStrategy[str]] = {
    format_pb2.FORMAT_PHONE_NUMBER: st.sampled_from(["", "9876543210", "+0-12", "+91-12", "phone"]),
    format_pb2.FORMAT_CURRENCY_CODE: st.sampled_from(["", "inr", "XYZ", "RUPEE", "IN"]),
    format_pb2.FORMAT_LANGUAGE_TAG: st.sampled_from(["", "en_US", "english!", "x" * 20, "e"]),
    format_pb2.FORMAT_PAST_DATE: st.sampled_from(
        ["", "2023-02-29", "01/02/1990", "1990-1-1", "19900101", "9999-01-01", "1600-01-01"]
    )
    | st.just(datetime.now(UTC).date()).map(lambda day: (day + timedelta(days=2)).isoformat()),
    format_pb2.FORMAT_DATE_OR_TIME: st.sampled_from(
        ["", "2024-02-30", "yesterday", "2024-01-01T10:00:00", "2024-01-01T25:00:00Z", "20240101"]
    ),
}


def rules_of(field: FieldDescriptor) -> validate_pb2.FieldRules:
    return field.GetOptions().Extensions[validate_pb2.field]


def words(rules: Message) -> list[str]:
    return list(getattr(rules, "in"))


def texts(rules: validate_pb2.StringRules, form: int = 0) -> st.SearchStrategy[str]:
    """Strings that keep the rules of a field or of a list's items."""
    if form:
        return FORMATS[form]
    if rules.email:
        return st.from_regex(r"[A-Za-z0-9.+_-]{1,20}@[a-z]{1,10}\.(in|com|co\.uk)", fullmatch=True)
    if words(rules):
        return st.sampled_from(words(rules))
    if rules.pattern:
        return st.from_regex(rules.pattern.removeprefix("^").removesuffix("$"), fullmatch=True)
    return st.text(TEXT, min_size=rules.min_len, max_size=min(rules.max_len, 200))


def bad_texts(rules: validate_pb2.StringRules, form: int = 0) -> st.SearchStrategy[str]:
    """Strings that break them."""
    with_control = st.builds("a{}b".format, CONTROL)
    if form:
        return BAD_FORMATS[form] | with_control
    if rules.email:
        return (
            st.sampled_from(["", "x", "a@", "@b.com", "a b@c.com", "a@b", "é@é.com"]) | with_control
        )
    if words(rules):
        return st.sampled_from(["", "nope", words(rules)[0].upper(), words(rules)[0] + " "])
    if rules.pattern:
        tried = ["", "-", "a b", "é" * 24, "a" * 65, "g" * 24, "0" * 24, "0" * 25, '{"$gt":""}']
        return st.sampled_from([text for text in tried if not re.fullmatch(rules.pattern, text)])
    longer = st.integers(1, 3).map(lambda more: "x" * (rules.max_len + more))
    return longer | with_control | (st.just("") if rules.min_len else st.nothing())


def field_values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """Python values that keep the rules of `field`."""
    rules = rules_of(field)
    if field.is_repeated:
        many, items = rules.repeated, texts(rules.repeated.items.string)
        most = len(words(many.items.string)) or min(many.max_items, 5)
        return st.lists(items, min_size=many.min_items, max_size=most, unique=many.unique)
    if field.message_type is not None:
        return messages_of(field)
    by_type: dict[int, Callable[[], st.SearchStrategy[Any]]] = {
        FieldDescriptor.TYPE_STRING: lambda: texts(
            rules.string, field.GetOptions().Extensions[format_pb2.format]
        ),
        FieldDescriptor.TYPE_BOOL: st.booleans,
        FieldDescriptor.TYPE_DOUBLE: lambda: st.floats(
            min_value=0, exclude_min=True, allow_infinity=False
        ),
        FieldDescriptor.TYPE_INT32: lambda: st.integers(
            rules.int32.gte, rules.int32.lte if rules.int32.HasField("lte") else 2**31 - 1
        ),
    }
    return by_type[field.type]()


def messages_of(field: FieldDescriptor) -> st.SearchStrategy[dict[str, Any]]:
    """A field's message as the keyword arguments that make it."""
    assert field.message_type is not None
    if field.message_type.name == "FieldMask":
        names = words(rules_of(field).field_mask)
        return st.fixed_dictionaries({"paths": st.lists(st.sampled_from(names), unique=True)})
    return st.fixed_dictionaries(
        {}, optional={inner.name: field_values(inner) for inner in field.message_type.fields}
    )


def needed(field: FieldDescriptor) -> bool:
    """Whether a request without this field breaks a rule."""
    rules = rules_of(field)
    if field.is_repeated:
        return bool(rules.repeated.min_items)
    return rules.required or (field.message_type is None and not field.has_presence)


def valid(method: Method) -> st.SearchStrategy[dict[str, Any]]:
    """A valid request as the keyword arguments that make it."""
    return st.one_of([_valid(method, set(chosen)) for chosen in product(*choices(method.request))])


def _valid(method: Method, chosen: Set[str]) -> st.SearchStrategy[dict[str, Any]]:
    """The same with these of the fields that exclude each other."""
    others = {name for choice in choices(method.request) for name in choice} - chosen
    fields = [field for field in method.request.fields if field.name not in others]
    must = {field.name for field in fields if needed(field)} | chosen
    return st.fixed_dictionaries(
        {field.name: field_values(field) for field in fields if field.name in must},
        optional={field.name: field_values(field) for field in fields if field.name not in must},
    )


def choices(request: Descriptor) -> list[list[str]]:
    """The fields that exclude each other, of which one must be sent."""
    rules = request.GetOptions().Extensions[validate_pb2.message]
    assert all(choice.required for choice in rules.oneof)
    return [list(choice.fields) for choice in rules.oneof]


# A wrong value of a field, and the place the error must name, relative to the field's JSON name.
Wrong = tuple[Any, str]


def wrong_values(field: FieldDescriptor) -> st.SearchStrategy[Wrong]:
    """Python values of `field` that break its rules, each with the place that must be named."""
    rules = rules_of(field)
    if field.is_repeated:
        return _wrong_lists(field)
    if field.message_type is not None:
        return _wrong_messages(field)
    form = field.GetOptions().Extensions[format_pb2.format]
    by_type: dict[int, Callable[[], st.SearchStrategy[Any]]] = {
        FieldDescriptor.TYPE_STRING: lambda: bad_texts(rules.string, form),
        FieldDescriptor.TYPE_DOUBLE: lambda: st.sampled_from([0.0, -1.0, math.inf, math.nan]),
        FieldDescriptor.TYPE_INT32: lambda: st.sampled_from(
            [rules.int32.gte - 1, -(2**31)]
            + ([rules.int32.lte + 1, 2**31 - 1] if rules.int32.HasField("lte") else [])
        ),
        FieldDescriptor.TYPE_BOOL: st.nothing,
    }
    return by_type[field.type]().map(lambda value: (value, ""))


def _wrong_lists(field: FieldDescriptor) -> st.SearchStrategy[Wrong]:
    many = rules_of(field).repeated
    items = texts(many.items.string)
    bad = bad_texts(many.items.string)
    choices: list[st.SearchStrategy[Wrong]] = [
        st.tuples(items, bad)
        .filter(lambda pair: pair[0] != pair[1])
        .map(lambda pair: (list(pair), "[1]"))
    ]
    if many.unique:
        choices.append(items.map(lambda item: ([item, item], "")))
    if many.max_items:
        count = int(many.max_items) + 1
        choices.append(st.just(([f"item_{number}" for number in range(count)], "")))
    return st.one_of(choices)


def _wrong_messages(field: FieldDescriptor) -> st.SearchStrategy[Wrong]:
    assert field.message_type is not None
    if field.message_type.name == "FieldMask":
        paths = st.sampled_from(["nope", "user_id", "userId", "", "city.name", "update_mask"])
        return paths.map(lambda path: ({"paths": [path]}, ""))
    return st.one_of([_inside(inner, wrong_values(inner)) for inner in field.message_type.fields])


def _inside(inner: FieldDescriptor, wrong: st.SearchStrategy[Wrong]) -> st.SearchStrategy[Wrong]:
    return wrong.map(lambda pair: ({inner.name: pair[0]}, f".{inner.json_name}{pair[1]}"))


def build(method: Method, content: Mapping[str, Any]) -> Message:
    """The request message of keyword arguments."""
    return method.request_class(**content)
