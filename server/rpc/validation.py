"""The contract's field rules applied to a request message, whichever way it came."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import protovalidate
from buf.validate import validate_pb2
from finlink.rules.v1 import format_pb2
from finlink.types.v1 import money_pb2
from google.protobuf import field_mask_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from server.core import money
from server.core.errors import FieldError
from server.rpc.formats import CHECKS
from server.rpc.json_values import camel

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_END_OF_PART = re.compile(r"[.\[]")
_VALIDATOR = protovalidate.Validator()

# The description of a rule whose own text would be a regular expression.
_PATTERNS = {
    "^[A-Za-z0-9_]{1,64}$": "must be 1 to 64 letters, digits or underscores",
    "^[0-9]{6}$": "must be 6 digits",
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}$": "must be a date, YYYY-MM-DD",
    "^[0-9a-fA-F]{24}$": "must be 24 hexadecimal digits",
    "^[a-z][a-z0-9]{0,19}$": "must be 1 to 20 lower-case letters and digits, a letter first",
    "^sync_[0-9a-f]{24}$": "must be the id of a sync, as sync_0123456789abcdef01234567",
}
_MESSAGES = {
    "required": "is required",
    "repeated.unique": "must not have the same item twice",
    "string.email": "must be a valid email address, as user@example.com",
    "string.email_empty": "must be a valid email address, as user@example.com",
    "string.min_len": "must not be empty",
}


_CHOICE = "message.oneof"


class Validation:
    def __init__(self, request: Descriptor) -> None:
        self._request = request
        rules = request.GetOptions().Extensions[validate_pb2.message]
        # Of each choice, the fields of which one is sent; and whether one must be.
        self._choices = [
            ([request.fields_by_name[name] for name in choice.fields], choice.required)
            for choice in rules.oneof
        ]

    def check(self, message: Message, *, json_names: bool = True) -> list[FieldError]:
        """Every wrong field once, by JSON path, in the order of the contract's fields.

        `json_names`: whether the caller's masks have paths in JSON's form, which is not that of protobuf.
        """
        in_mask = camel if json_names else str
        wrong: dict[str, FieldError] = {}
        for error in (
            *_errors_in(message, ""),
            *_mask_errors(message, in_mask),
            *self._choice_errors(message),
            *self._rule_errors(message, in_mask),
        ):
            wrong.setdefault(error.field, error)
        return list(wrong.values())

    def _choice_errors(self, message: Message) -> Iterator[FieldError]:
        """Of several fields that exclude each other all that are sent; the first where one is needed."""
        for fields, is_needed in self._choices:
            sent = [field for field in fields if message.HasField(field.name)]
            names = " and ".join(field.json_name for field in fields)
            if len(sent) > 1:
                yield from (
                    FieldError(field.json_name, f"send only one of {names}") for field in sent
                )
            elif is_needed and not sent:
                yield FieldError(fields[0].json_name, f"is required: send one of {names}")

    def _rule_errors(self, message: Message, in_mask: Callable[[str], str]) -> Iterator[FieldError]:
        for violation in _VALIDATOR.collect_violations(message):
            place = violation.proto.field
            path = _json_path(self._request, place.elements if place else [])
            rule = violation.proto.rule_id
            if rule == _CHOICE:  # it names no field
                continue
            text = _MESSAGES.get(rule, violation.proto.message)
            if rule == "string.pattern":
                text = _PATTERNS.get(str(violation.rule_value), text)
            elif rule == "string.in":
                text = "must be one of " + text.partition("[")[2].rstrip("]")
            elif rule == "field_mask.in":
                known = (in_mask(each) for each in violation.rule_value)
                text = "may name " + ", ".join(known)
            yield FieldError(path, text)


class _Field(NamedTuple):
    """The facts of a field that its check needs."""

    name: str  # in JSON
    nested: bool
    is_map: bool
    repeated: bool
    text: bool
    check: Callable[[str], str | None] | None


@cache  # there are as many as the contract has fields, and asking descriptors is slow
def _known(field: FieldDescriptor) -> _Field:
    return _Field(
        field.json_name,
        field.message_type is not None,
        field.message_type is not None and field.message_type.GetOptions().map_entry,
        field.is_repeated,
        field.type == FieldDescriptor.TYPE_STRING,
        CHECKS.get(field.GetOptions().Extensions[format_pb2.format]),
    )


def _errors_in(message: Message, prefix: str) -> Iterator[FieldError]:
    """Errors of a message by itself: amounts that are none, and texts."""
    if isinstance(message, money_pb2.Money):
        currency = message.currency if message.HasField("currency") else None
        if (wrong := money.problem(message.value, currency)) is not None:
            yield FieldError(prefix + wrong[0], wrong[1])
    else:
        yield from _text_errors(message, prefix)


def _text_errors(message: Message, prefix: str) -> Iterator[FieldError]:
    """Control characters in any string, and strings that break their format."""
    for descriptor, value in message.ListFields():
        field = _known(descriptor)
        place = prefix + field.name
        if field.is_map:
            for key, each in value.items():
                yield from _in_text(key, f"{place}.{key}", None)
                if isinstance(each, Message):
                    yield from _errors_in(each, f"{place}.{key}.")
                elif isinstance(each, str):
                    yield from _in_text(each, f"{place}.{key}", None)
        elif field.nested:
            if field.repeated:
                for index, each in enumerate(value):
                    yield from _errors_in(each, f"{place}[{index}].")
            else:
                yield from _errors_in(value, place + ".")
        elif field.text and field.repeated:
            for index, text in enumerate(value):
                yield from _in_text(text, f"{place}[{index}]", field.check)
        elif field.text:
            yield from _in_text(value, place, field.check)


def _in_text(
    text: str, place: str, check: Callable[[str], str | None] | None
) -> Iterator[FieldError]:
    if _CONTROL.search(text):
        yield FieldError(place, "must not contain control characters")
    elif check is not None and (problem := check(text)) is not None:
        yield FieldError(place, problem)


def _mask_errors(message: Message, in_mask: Callable[[str], str]) -> Iterator[FieldError]:
    """Paths of an update mask that lead nowhere."""
    mask = getattr(message, "update_mask", None)
    if not isinstance(mask, field_mask_pb2.FieldMask):
        return
    for path in mask.paths:
        descriptor: Any = message.DESCRIPTOR
        for part in path.split("."):
            field = descriptor.fields_by_name.get(part) if descriptor else None
            if field is None:
                yield FieldError("updateMask", f"names {in_mask(path)}, which is no field")
                break
            descriptor = field.message_type


def _json_path(descriptor: Descriptor, elements: Sequence[protovalidate.FieldPathElementPb]) -> str:
    """`metadata.tags[2]` or `labels.home` of protovalidate's field path."""
    path = ""
    current: Descriptor | None = descriptor
    for element in elements:
        name = element.field_name
        field = current.fields_by_name[name] if current else None
        path += ("." if path else "") + (field.json_name if field else name)
        subscript = element.subscript
        if subscript is not None:
            path += f"[{subscript.value}]" if subscript.field == "index" else f".{subscript.value}"
        current = field.message_type if field else None
        if current is not None and current.GetOptions().map_entry:
            current = current.fields_by_name["value"].message_type
    return path


def unnamed(found: Sequence[FieldError], named: Sequence[FieldError]) -> list[FieldError]:
    """Those of `found` that are not about what `named` has refused already.

    That is the same place, what is in it, and the list that it is an item of.
    """
    places = {error.field for error in named}
    lists = {place.rpartition("[")[0] for place in places if place.endswith("]")}
    return [
        error
        for error in found
        if error.field not in lists and places.isdisjoint(_place_and_those_around(error.field))
    ]


def _place_and_those_around(place: str) -> Iterator[str]:
    yield place
    for end in _END_OF_PART.finditer(place):
        yield place[: end.start()]
