"""The comments of `.proto` files, which generated modules lack, by the full name of what they describe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from google.protobuf import descriptor_pb2

_Path: TypeAlias = tuple[int, ...]
# Places in a descriptor, as source_code_info counts them.
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE = 4, 5, 6
_FIELD, _NESTED, _METHOD, _VALUE = 2, 3, 2, 2


def comments(file: descriptor_pb2.FileDescriptorProto) -> dict[str, str]:
    """The comments of a file: on its messages, fields, enums and their values, services and RPCs."""
    said = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
    return {name: _paragraphs(said.get(path, "")) for name, path in _places(file)}


def _places(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[str, _Path]]:
    for index, message in enumerate(file.message_type):
        yield from _of_message(message, file.package, (_FILE_MESSAGE, index))
    for index, enum in enumerate(file.enum_type):
        yield f"{file.package}.{enum.name}", (_FILE_ENUM, index)
        for number, value in enumerate(enum.value):
            yield f"{file.package}.{value.name}", (_FILE_ENUM, index, _VALUE, number)
    for index, service in enumerate(file.service):
        name = f"{file.package}.{service.name}"
        yield name, (_FILE_SERVICE, index)
        for number, method in enumerate(service.method):
            yield f"{name}.{method.name}", (_FILE_SERVICE, index, _METHOD, number)


def _of_message(
    message: descriptor_pb2.DescriptorProto, outer: str, path: _Path
) -> Iterator[tuple[str, _Path]]:
    name = f"{outer}.{message.name}"
    yield name, path
    for number, field in enumerate(message.field):
        yield f"{name}.{field.name}", (*path, _FIELD, number)
    for number, nested in enumerate(message.nested_type):
        yield from _of_message(nested, name, (*path, _NESTED, number))


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
