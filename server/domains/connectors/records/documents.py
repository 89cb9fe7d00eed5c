"""Records as MongoDB keeps their fields: decimal numbers as text, dates as `YYYY-MM-DD`."""

from __future__ import annotations

import dataclasses
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from server.platforms.records import Holding, Money, Profile, Trade, Transaction
from server.storage.driver import Document

_NAMES: dict[type[Any], list[tuple[str, str]]] = {}


def record_document(record: Transaction | Trade | Holding | Profile) -> Document:
    """The fields of a record by their camelCase name, without those that are None."""
    return _fields(record)


def _fields(value: Any) -> Document:
    document: Document = {}
    for name, stored_name in _names(type(value)):
        item = getattr(value, name)
        if item is not None:
            document[stored_name] = _stored(item)
    return document


def _names(kind: type[Any]) -> list[tuple[str, str]]:
    """The fields of a dataclass, and what they are called in documents."""
    if kind not in _NAMES:
        _NAMES[kind] = [(entry.name, _camel(entry.name)) for entry in dataclasses.fields(kind)]
    return _NAMES[kind]


def _stored(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, Money):
        return _fields(value)
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return list(value)
    return value


def decimal_text(value: Decimal) -> str:
    """Plain notation without trailing zeros: `1250.75`, `0`, `-3`."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match.group(1).upper(), name)
