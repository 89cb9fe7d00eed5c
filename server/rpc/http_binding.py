"""Reads a REST request strictly into the request message.

Envoy hands over the path variables as fields and the body as raw bytes (see codegen/envoy.py); the
query comes with the original path. Everything wrong is collected, so that one reply names it all.
"""

from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

from buf.validate import validate_pb2
from google.api import httpbody_pb2
from google.protobuf import field_mask_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from server.core.errors import FieldError, InvalidRequest
from server.rpc import strict_json
from server.rpc.json_values import (
    EMPTY,
    WrongType,
    camel,
    from_query,
    map_value,
    mask_paths,
    object_of,
    scalar,
    snake,
    text_of,
)
from server.rpc.method import Method
from server.rpc.strict_json import JsonObject

HTTP_BODY_FIELD = 50700  # as in codegen/envoy.py


class HttpBinding:
    def __init__(self, method: Method) -> None:
        self._method = method
        self._in_path = {
            field.json_name for field in method.request.fields if field.name in method.path_fields
        }

    def bind(
        self, message: Message, query: str, content_type: str = "", content_encoding: str = ""
    ) -> list[FieldError]:
        """Add body and query to `message`, which has the path variables. Returns what is wrong.

        Raises InvalidRequest where the body cannot be read at all: it is compressed, or no JSON object.
        """
        wrong: list[FieldError] = []
        method = self._method
        body = message if isinstance(message, httpbody_pb2.HttpBody) else _take_body(message)
        body.content_type = content_type
        if body.data and content_encoding.lower() not in {"", "identity"}:
            raise InvalidRequest.of(
                "Content-Encoding", "must be left out: a body is read as it is, not decompressed"
            )
        if (field := method.raw_body_field) is not None:
            getattr(message, field.name).CopyFrom(body)
        elif not method.takes_raw_body and body.data.strip():
            if method.takes_json:
                self._bind_body(message, body.data, wrong)
            else:
                wrong.append(FieldError("body", _no_body(method)))
        if query:
            self._bind_query(message, query, wrong)
        return wrong

    def _bind_body(self, message: Message, body: bytes, wrong: list[FieldError]) -> None:
        try:
            value = strict_json.parse(body)
        except strict_json.MalformedJson as error:
            raise InvalidRequest.of("body", str(error)) from None
        if not isinstance(value, JsonObject):
            raise InvalidRequest.of("body", "must be one JSON object")
        _Body(self._method.request, self._in_path, wrong).fill(message, value)

    def _bind_query(self, message: Message, query: str, wrong: list[FieldError]) -> None:
        fields = self._method.query_fields
        values: dict[str, list[str]] = {}
        for part in query.split("&"):
            if not part:
                continue
            name, _, value = part.partition("=")
            try:
                name, value = _unescape(name), _unescape(value)
            except UnicodeDecodeError:
                wrong.append(FieldError(name, "is not valid UTF-8"))
            else:
                values.setdefault(name, []).append(value)
        for name, texts in values.items():
            field = fields.get(name)
            if field is None:
                wrong.append(FieldError(name, _unknown(name, fields, self._in_path, "parameter")))
            elif field.is_repeated:
                entries = [entry for text in texts for entry in text.split(",")]
                getattr(message, field.name).extend(entries)
            elif len(texts) > 1:
                wrong.append(FieldError(name, "must be given once"))
            else:
                try:
                    setattr(message, field.name, from_query(field, texts[0]))
                except WrongType as error:
                    wrong.append(FieldError(name, str(error)))


class _Body:
    """Fills one request message from its JSON object."""

    def __init__(self, request: Descriptor, in_path: set[str], wrong: list[FieldError]) -> None:
        self._request = request
        self._in_path = in_path
        self._wrong = wrong
        self._emptied: list[tuple[str, int]] = []  # with the least number of items
        self._has_mask = "update_mask" in request.fields_by_name

    def fill(self, message: Message, value: JsonObject) -> None:
        self._object(message, value, "", self._in_path)
        # An empty list or map looks like one that was not sent once it is in a message. Where the
        # request has a mask, that is the way to say "remove it"; where a rule wants items, it is refused.
        for path, least in self._emptied:
            if self._has_mask and "[" not in path:
                message.update_mask.paths.append(snake(path))  # type: ignore[attr-defined]
            elif least > 0:
                self._wrong.append(FieldError(path, "must have at least one item, or be left out"))

    def _object(
        self, message: Message, value: JsonObject, prefix: str, forbidden: set[str]
    ) -> None:
        known = _by_json_name(message.DESCRIPTOR)
        for name, item in value.items():
            path = prefix + name
            field = known.get(name) if name not in forbidden else None
            if field is None:
                fields = {key: each for key, each in known.items() if key not in forbidden}
                self._wrong.append(FieldError(path, _unknown(name, fields, forbidden, "field")))
            elif name in value.repeated:
                self._wrong.append(FieldError(path, "must be given once"))
            elif item is not None:
                try:
                    self._field(message, field, item, path)
                except WrongType as error:
                    self._wrong.append(FieldError(path, str(error)))

    def _field(self, message: Message, field: FieldDescriptor, item: Any, path: str) -> None:
        rules = field.GetOptions().Extensions[validate_pb2.field]
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            self._map(message, field, object_of(item), path)
            if not item:
                self._emptied.append((path, rules.map.min_pairs))
        elif field.is_repeated:
            if not isinstance(item, list):
                raise WrongType("must be a list")
            self._list(message, field, item, path)
            if not item:
                self._emptied.append((path, rules.repeated.min_items))
        elif field.message_type is None:
            setattr(message, field.name, scalar(field, item))
        elif field.message_type.full_name == field_mask_pb2.FieldMask.DESCRIPTOR.full_name:
            getattr(message, field.name).paths.extend(mask_paths(item))
        else:
            child = getattr(message, field.name)
            child.SetInParent()
            self._object(child, object_of(item), path + ".", set())

    def _list(self, message: Message, field: FieldDescriptor, item: list[Any], path: str) -> None:
        """An element that is wrong leaves its place empty, so that those after it keep theirs."""
        target = getattr(message, field.name)
        for index, entry in enumerate(item):
            place = f"{path}[{index}]"
            try:
                if field.message_type is not None:
                    self._object(target.add(), object_of(entry), place + ".", set())
                else:
                    target.append(scalar(field, entry))
            except WrongType as error:
                self._wrong.append(FieldError(place, str(error)))
                if field.message_type is None:
                    target.append(EMPTY[field.type])

    def _map(self, message: Message, field: FieldDescriptor, item: JsonObject, path: str) -> None:
        """A map from texts; null is as a key that is not there."""
        target, of = getattr(message, field.name), map_value(field)
        for key, entry in item.items():
            place = f"{path}.{key}"
            try:
                text_of(key)
                if key in item.repeated:
                    raise WrongType("must be given once")
                if entry is None:
                    continue
                if of.message_type is not None:
                    self._object(target[key], object_of(entry), place + ".", set())
                else:
                    target[key] = scalar(of, entry)
            except WrongType as error:
                self._wrong.append(FieldError(place, str(error)))


def _no_body(method: Method) -> str:
    names = ", ".join(sorted(method.query_fields))
    takes = f"what this call takes is in the query: {names}" if names else "this call takes none"
    return f"must be left out; {takes}"


@cache  # there are as many as the contract has messages
def _by_json_name(message: Descriptor) -> dict[str, FieldDescriptor]:
    return {field.json_name: field for field in message.fields}


def _take_body(message: Message) -> httpbody_pb2.HttpBody:
    """The raw body Envoy put beside the path variables; it is removed from the message."""
    body = httpbody_pb2.HttpBody()
    fields = UnknownFieldSet(message)
    for unknown in (fields[index] for index in range(len(fields))):
        if unknown.field_number == HTTP_BODY_FIELD and isinstance(unknown.data, bytes):
            body.MergeFromString(unknown.data)
    message.DiscardUnknownFields()
    return body


def _unknown(name: str, fields: dict[str, FieldDescriptor], in_path: set[str], noun: str) -> str:
    if name in in_path:
        return "is given by the path and must not be sent again"
    if (meant := camel(name)) in fields:
        return f"unknown {noun}; did you mean {meant}?"
    known = ", ".join(sorted(fields))
    return f"unknown {noun}; known are {known}" if known else f"unknown {noun}; none are known here"


def _unescape(text: str) -> str:
    """Percent-decoded, `+` being a space. Raises UnicodeDecodeError."""
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
