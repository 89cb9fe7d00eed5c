"""Records as MongoDB keeps their fields: decimal numbers as text, dates as `YYYY-MM-DD`."""

import dataclasses
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from server.core.model import document_name
from server.platforms.records import Holding, Money, Profile, Trade, Transaction
from server.storage.driver import Document


def record_document(record: Transaction | Trade | Holding | Profile | Money) -> Document:
    """The fields of a record by their camelCase name, without those that are None."""
    kind: Any = type(record)
    return {
        stored_name: _stored(item)
        for name, stored_name in _names(kind)
        if (item := getattr(record, name)) is not None
    }


@cache
def _names(kind: Any) -> list[tuple[str, str]]:
    return [(entry.name, document_name(entry.name)) for entry in dataclasses.fields(kind)]


def _stored(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, Money):
        return record_document(value)
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
