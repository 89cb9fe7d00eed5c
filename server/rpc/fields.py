"""Models as the contract's messages and back, by the names of their fields.

Fields that a message and a model both name are carried over, the rest is left alone. Where a model has a date
the message has a text, and a Timestamp where it has a time. A domain's `convert.py` says only what is more
than that.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date
from functools import cache, partial
from operator import methodcaller
from typing import Any, TypeVar, get_args, get_origin

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from server.core.errors import InvalidRequest
from server.core.model import Changes, Model
from server.rpc.formats import parse_date

M = TypeVar("M", bound=Model)
P = TypeVar("P", bound=Message)
Convert = Callable[[Any], Any]

_TIMESTAMP = "google.protobuf.Timestamp"
_COLLECTIONS = (tuple, dict)
_NOTHING = (msgspec.NODEFAULT, None, ())  # defaults that a field has by being removed


def to_message(kind: type[P], value: Any, **others: Any) -> P:
    """A message of what `value`, a model or any other object, has by the names of the message's fields."""
    return kind(**{**arguments(kind.DESCRIPTOR, value), **others})


def arguments(descriptor: Any, value: Any) -> dict[str, Any]:
    """The fields of such a message."""
    made: dict[str, Any] = _arguments(descriptor, value.__class__)(value)
    return made


def from_document(kind: type[P], document: Mapping[str, Any], **others: Any) -> P:
    """A message of what a stored document has by the JSON names of the message's fields."""
    return kind(**{**_from_document(kind.DESCRIPTOR, document), **others})


def to_model(kind: type[M], message: Message, **others: Any) -> M:
    """A model of what a message has by the names of the model's fields; what was not sent has its default."""
    values = {
        name: convert(getattr(message, name))
        for name, has_presence, convert in _shared(kind, message.DESCRIPTOR)
        if not has_presence or message.HasField(name)
    }
    return kind(**{**values, **others})


def to_changes(kind: type[Model], message: Any, section: str = "") -> Changes:
    """The fields of a model that an update sends or names, by path in the document that is one or has it as a
    section.

    A field that `update_mask` names and that is not sent goes back to its default, or is removed. Raises
    InvalidRequest where nothing is sent or named, and where a model cannot do without what is named.
    """
    return to_all_changes(message, (kind, section))


def to_all_changes(message: Any, *parts: tuple[type[Model], str], needed: bool = True) -> Changes:
    """The same of several models, each with its section: an update may be about more than one.

    `needed` is False if the message sends something else, so that there may be no change of these.
    """
    changes: Changes = {}
    has_mask = "update_mask" in message.DESCRIPTOR.fields_by_name
    for kind, section in parts:
        prefix = f"{section}." if section else ""
        for path in message.update_mask.paths if has_mask else ():
            _reset(prefix, kind, path.split("."), message, changes)
        _send(prefix, kind, message, changes)
    if needed and not changes:
        named = ", or name one in updateMask" if has_mask else ""
        raise InvalidRequest(f"Nothing to update: send at least one field{named}")
    return changes


def to_replacement(message: Any, *parts: tuple[type[Model], str]) -> Changes:
    """Changes after which a document has of these models what is sent, and defaults for the rest."""
    changes: Changes = {}
    for kind, section in parts:
        prefix = f"{section}." if section else ""
        _reset(prefix, kind, (), message, changes)
        _send(prefix, kind, message, changes)
    return changes


def _reset(
    prefix: str, kind: type[Model], path: Sequence[str], message: Any, changes: Changes
) -> None:
    sent = {field.name for field, _ in message.ListFields()} if message is not None else set()
    for field in msgspec.structs.fields(kind):
        if path and field.name != path[0]:
            continue
        place, inner = prefix + field.encode_name, _section(field.type)
        if get_origin(field.type) in _COLLECTIONS:
            inner = None  # goes as a whole
        # So does a section that may be missing and of which nothing is sent.
        if inner is not None and (path[1:] or field.name in sent or field.default is not None):
            section = getattr(message, field.name, None)
            _reset(f"{place}.", inner, path[1:], section, changes)
        elif field.required and field.name not in sent:
            raise InvalidRequest.of("updateMask", f"names {field.encode_name}, which must be sent")
        else:
            changes[place] = field.default if field.default not in _NOTHING else None


def _send(prefix: str, kind: type[Model], message: Any, changes: Changes) -> None:
    sent = {field.name: field for field, _ in message.ListFields()}
    for field in msgspec.structs.fields(kind):
        if field.name not in sent:
            continue
        place, value = prefix + field.encode_name, getattr(message, field.name)
        if (inner := _section(field.type)) is not None and isinstance(value, Message):
            _send(f"{place}.", inner, value, changes)
        else:
            changes[place] = _from_field(sent[field.name], field.type)(value)


def _section(kind: Any) -> type[Model] | None:
    """The model that a field's type is, may be or has as its items."""
    kinds = (kind, *get_args(kind))
    return next(
        (each for each in kinds if isinstance(each, type) and issubclass(each, Model)), None
    )


def _is_date(kind: Any) -> bool:
    return kind is date or date in get_args(kind)


@cache
def _shared(kind: type[Model], descriptor: Descriptor) -> list[tuple[str, bool, Convert]]:
    """Fields of both, whether a message has presence for each, and the function that converts its value to
    the model's."""
    return [
        (field.name, sent.has_presence, _from_field(sent, field.type))
        for field in msgspec.structs.fields(kind)
        if (sent := descriptor.fields_by_name.get(field.name)) is not None
    ]


def _from_field(field: FieldDescriptor, kind: Any) -> Convert:
    if (value := _value_of_map(field)) is not None:
        of_value = _from_field(value, kind)
        return lambda items: {key: of_value(item) for key, item in items.items()}
    convert: Convert = parse_date if _is_date(kind) else lambda value: value
    if field.message_type is not None and field.message_type.full_name == _TIMESTAMP:
        convert = methodcaller("ToDatetime", UTC)
    elif (section := _section(kind)) is not None:
        convert = partial(to_model, section)
    return (lambda items: tuple(map(convert, items))) if field.is_repeated else convert


@cache
def _arguments(descriptor: Descriptor, kind: type) -> Convert:
    """Makes the arguments of a message from an object of one type."""
    dates = set()
    if issubclass(kind, Model):
        dates = {each.name for each in msgspec.structs.fields(kind) if _is_date(each.type)}
    known = {*dir(kind), *getattr(kind, "__dataclass_fields__", ())}
    shared = [field for field in descriptor.fields if field.name in known]
    names = [field.name for field in shared]
    converts = [
        (field.name, convert)
        for field in shared
        if (convert := _to_field(field, is_date=field.name in dates)) is not None
    ]

    def make(value: Any) -> dict[str, Any]:
        values = {name: getattr(value, name) for name in names}
        for name, convert in converts:
            if (part := values[name]) is not None:
                values[name] = convert(part)
        return values

    return make


def _to_field(field: FieldDescriptor, *, is_date: bool) -> Convert | None:
    """How a message takes a model's value; None for as it is."""
    if (value := _value_of_map(field)) is not None:
        if (of_value := _to_field(value, is_date=is_date)) is None:
            return None
        return lambda items: {key: of_value(item) for key, item in items.items()}
    convert: Convert = date.isoformat
    if not is_date:
        if (kind := _own(field)) is None:
            return None
        convert = partial(arguments, kind)
    return (lambda items: list(map(convert, items))) if field.is_repeated else convert


def _from_document(descriptor: Any, document: Mapping[str, Any]) -> dict[str, Any]:
    names, inner = _stored_names(descriptor)
    return {
        names[key]: _from_value(inner[key], value) if key in inner and value else value
        for key, value in document.items()
        if key in names
    }


def _from_value(descriptor: Descriptor, value: Any) -> Any:
    if isinstance(value, list):
        return [_from_document(descriptor, item) for item in value]
    return _from_document(descriptor, value)


@cache
def _stored_names(descriptor: Descriptor) -> tuple[dict[str, str], dict[str, Descriptor]]:
    """By JSON name, the names of the fields and the contract's own messages in them."""
    own = {field.json_name: _own(field) for field in descriptor.fields}
    names = {field.json_name: field.name for field in descriptor.fields}
    return names, {name: kind for name, kind in own.items() if kind is not None}


def _value_of_map(field: FieldDescriptor) -> FieldDescriptor | None:
    kind = field.message_type
    if kind is None or not kind.GetOptions().map_entry:
        return None
    return kind.fields_by_name["value"]


def _own(field: FieldDescriptor) -> Descriptor | None:
    """The contract's own message in a field; None for a plain value, a time and a mapping."""
    kind = field.message_type
    if kind is None or kind.file.package == "google.protobuf" or kind.GetOptions().map_entry:
        return None
    return kind
