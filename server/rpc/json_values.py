"""Values of one field, read strictly from JSON or a query."""

import math
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from server.rpc.strict_json import JsonObject, NotANumber

_INT32 = range(-(2**31), 2**31)
_MASK_PATH = re.compile(r"[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)*")


class WrongType(ValueError):
    """A value does not fit its field; the message says what would."""


def object_of(value: Any) -> JsonObject:
    if not isinstance(value, JsonObject):
        raise WrongType("must be an object")
    return value


def scalar(field: FieldDescriptor, value: Any) -> Any:
    return FROM_JSON[field.type](value)


def text_of(value: Any) -> str:
    if not isinstance(value, str):
        raise WrongType("must be a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise WrongType("must be valid Unicode, without lone surrogates") from None
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongType("must be true or false, without quotes")
    return value


def _number(value: Any) -> int | float:
    if isinstance(value, NotANumber):
        raise WrongType("must be a finite number")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongType("must be a number, without quotes")
    return value


def _double(value: Any) -> float:
    try:
        number = float(_number(value))
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise WrongType("must be a finite number")
    return number


def _int32(value: Any) -> int:
    number = _number(value)
    if not math.isfinite(number) or number != int(number):
        raise WrongType("must be a whole number")
    if int(number) not in _INT32:
        raise WrongType("must be a whole number of at most 32 bits")
    return int(number)


FROM_JSON: dict[int, Callable[[Any], Any]] = {
    FieldDescriptor.TYPE_STRING: text_of,
    FieldDescriptor.TYPE_BOOL: _bool,
    FieldDescriptor.TYPE_DOUBLE: _double,
    FieldDescriptor.TYPE_INT32: _int32,
}
EMPTY: dict[int, Any] = {
    FieldDescriptor.TYPE_STRING: "",
    FieldDescriptor.TYPE_BOOL: False,
    FieldDescriptor.TYPE_DOUBLE: 0.0,
    FieldDescriptor.TYPE_INT32: 0,
}


def from_query(field: FieldDescriptor, text: str) -> Any:
    if field.type == FieldDescriptor.TYPE_INT32:
        if not re.fullmatch(r"-?[0-9]{1,10}", text):
            raise WrongType("must be a whole number")
        return _int32(int(text))
    if field.type == FieldDescriptor.TYPE_BOOL:
        if text not in {"true", "false"}:
            raise WrongType("must be true or false")
        return text == "true"
    return text


def mask_paths(value: Any) -> list[str]:
    """The paths of a field mask in snake_case, from its JSON form `a,bC.d`."""
    if not isinstance(value, str):
        raise WrongType("must be a string of field names, separated by commas")
    paths = [path.strip() for path in value.split(",")] if value.strip() else []
    for path in paths:
        if not _MASK_PATH.fullmatch(path):
            raise WrongType("must be field names separated by commas")
    return [snake(path) for path in paths]


def camel(path: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match.group(1).upper(), path)


def snake(path: str) -> str:
    return re.sub(r"[A-Z]", lambda match: "_" + match.group().lower(), path)


@cache
def map_value(field: FieldDescriptor) -> FieldDescriptor:
    entry = field.message_type
    if entry is None or entry.fields_by_name["key"].type != FieldDescriptor.TYPE_STRING:
        raise TypeError(f"{field.full_name} is no map from texts")
    return entry.fields_by_name["value"]
