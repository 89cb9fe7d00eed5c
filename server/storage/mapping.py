"""Documents as models and back, by the types of a model's fields.

A `date` is stored as its midnight in UTC, an `Id` as an ObjectId, a tuple as an array. Another tool may have
written a document: what it left out or stored as null has its default, a time of creation comes from the id,
and a value of another type is as good as missing. Nothing is changed in MongoDB by that.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import cache, partial
from typing import Any, Generic, TypeVar, get_args, get_origin

import msgspec
from bson import ObjectId

from server.core.model import Id, Model
from server.storage.driver import Document

M = TypeVar("M", bound=Model)
Convert = Callable[[Any], Any]

_PLACE = re.compile(r" - at `\$\.([^`]+)`$")


class UnreadableDocument(Exception):
    """A document lacks what its model needs. The text names fields and types, no values."""


class Mapped(Generic[M]):
    """How the documents of one collection are one model."""

    def __init__(self, model: type[M]) -> None:
        self._model = model
        self._prepare = _reader(model)

    def read(self, document: Document) -> M:
        """The document as the model; the document is used up. Raises UnreadableDocument."""
        if self._prepare is not None:
            self._prepare(document)
        try:
            return msgspec.convert(document, self._model)
        except msgspec.ValidationError:
            return self._read_foreign(document)

    def _read_foreign(self, document: Document) -> M:
        document = without_nulls(document)
        for name in ("createdAt", "updatedAt"):
            if name not in document and ObjectId.is_valid(identifier := document.get("_id")):
                document[name] = document.get("createdAt") or ObjectId(identifier).generation_time
        while True:
            try:
                return msgspec.convert(document, self._model, strict=False)
            except msgspec.ValidationError as error:
                if not _leave_out(document, _PLACE.search(str(error))):
                    raise UnreadableDocument(f"{self._model.__name__}: {error}") from None

    def write(self, model: M) -> Document:
        document: Document = stored(model)
        return document

    def values(self, fields: Mapping[str, Any]) -> Document:
        """Values by their paths in documents as they are stored, of a query or a change."""
        return {path: _writer(self._model, path)(value) for path, value in fields.items()}


def stored(value: Any) -> Any:
    """A value as MongoDB keeps it. Models leave out what is None."""
    if isinstance(value, Model):
        return {
            name: write(item)
            for field, name, write in _fields(type(value))
            if (item := getattr(value, field)) is not None
        }
    if isinstance(value, list | tuple):
        return [stored(item) for item in value]
    if isinstance(value, dict):  # also comparisons with values, of a query
        return {operator: stored(item) for operator, item in value.items()}
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value


@cache
def _fields(model: type[Model]) -> list[tuple[str, str, Convert]]:
    """Of each field its name, its name in documents, and what makes a stored value of it."""
    return [
        (field.name, field.encode_name, _object_ids if Id in kinds else stored)
        for field in msgspec.structs.fields(model)
        for kinds in [(field.type, *get_args(field.type))]
    ]


@cache
def _writer(model: type[Model], path: str) -> Convert:
    """The same for the field at a path."""
    name, _, rest = path.partition(".")
    for field in msgspec.structs.fields(model):
        if field.encode_name == name and rest:
            kinds = (field.type, *get_args(field.type))
            sections = [
                kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Model)
            ]
            return _writer(sections[0], rest) if sections else stored
    return {name: write for _, name, write in _fields(model)}.get(path, stored)


def _object_ids(value: Any) -> Any:
    """An id, several, or a comparison with them."""
    if isinstance(value, dict):
        return {operator: _object_ids(item) for operator, item in value.items()}
    if isinstance(value, list | tuple):
        return [_object_ids(item) for item in value]
    return ObjectId(value) if isinstance(value, str) else value


def _reader(kind: Any) -> Convert | None:
    """Converts stored values of this type that msgspec cannot: in place, at any depth."""
    if kind == Id:
        return lambda value: str(value) if isinstance(value, ObjectId) else value
    if kind is date:
        return lambda value: value.date() if isinstance(value, datetime) else value
    if isinstance(kind, type) and issubclass(kind, Model):
        return _section_reader(kind)
    for argument in get_args(kind):  # of a tuple, or what may be None
        if (reader := _reader(argument)) is not None:
            readers = {tuple: _read_items, dict: _read_values}
            read = readers.get(get_origin(kind))
            return partial(read, reader) if read else reader
    return None


def _section_reader(model: type[Model]) -> Convert | None:
    fields = [
        (field.encode_name, reader)
        for field in msgspec.structs.fields(model)
        if (reader := _reader(field.type)) is not None
    ]

    def read(section: Any) -> Any:
        if isinstance(section, dict):
            for name, reader in fields:
                if name in section:
                    section[name] = reader(section[name])
        return section

    return read if fields else None


def _read_items(reader: Convert, items: Any) -> Any:
    return [reader(item) for item in items] if isinstance(items, list) else items


def _read_values(reader: Convert, values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    return {key: reader(value) for key, value in values.items()}


def without_nulls(value: Any) -> Any:
    """The same without what is None, at any depth."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return list(map(without_nulls, value)) if isinstance(value, list) else value


def _leave_out(document: Document, place: re.Match[str] | None) -> bool:
    """Remove what is at a place of msgspec's; False where there is nothing."""
    if place is None:
        return False
    *sections, name = place[1].partition("[")[0].split(".")
    for section in sections:
        document = document[section]
    return document.pop(name, None) is not None
