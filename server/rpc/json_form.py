"""Messages as the JSON that REST clients get.

Envoy would write it too, and takes longer for it than the rest of its work on a call; and a reply that
is given many times needs to be written once only. protobuf-py has a native writer; the one of the
protobuf package itself takes five times as long.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache

from google.api import httpbody_pb2
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorSet
from google.protobuf.message import Message
from protobuf import Registry
from protobuf import wkt as native

# A whole number in a double field, which some readers want to be one: 5, not 5.0. Within a text the
# quote before it would have a backslash.
_WHOLE = re.compile(r'(?<=[a-z0-9]":)(-?[0-9]+)\.0(?=[,}])')


@cache  # there are as many as the contract has responses
def json_writer(message: Descriptor) -> Callable[[Message], str]:
    """Writes messages of this type, with all fields but those that say that they are not set."""
    found = _registry(message.file).message(message.full_name)
    if found is None:
        raise LookupError(message.full_name)
    writer = found.type

    def write(message: Message) -> str:
        text = writer.from_binary(message.SerializeToString()).to_json(always_emit_implicit=True)
        return _WHOLE.sub(r"\1", text)

    return write


def http_body(content_type: str, text: str) -> bytes:
    """A serialized `google.api.HttpBody`, which Envoy passes on as it is."""
    body = httpbody_pb2.HttpBody(content_type=content_type, data=text.encode())
    return bytes(body.SerializeToString())


@cache
def _registry(file: FileDescriptor) -> Registry:
    """The messages of a file and those that they are made of.

    Each file has a registry of its own, which takes a tenth of the memory without options; JSON needs none.
    """
    content = FileDescriptorSet()
    files: dict[str, FileDescriptor] = {}
    _gather(file, files)
    for each in files.values():
        copy = content.file.add()
        each.CopyToProto(copy)
        for part in ("dependency", "options", "service", "extension"):
            copy.ClearField(part)
        copy.dependency.extend(used.name for used in _used_by(each))
        for message in copy.message_type:
            _describe_fields(message, each.message_types_by_name[message.name])
    return native.FileDescriptorSet.from_binary(content.SerializeToString()).to_registry()


def _describe_fields(copy: DescriptorProto, message: Descriptor) -> None:
    """Generated modules leave out the names that fields have in JSON."""
    for field in copy.field:
        field.json_name = message.fields_by_name[field.name].json_name
        field.ClearField("options")
    for nested in copy.nested_type:
        _describe_fields(nested, message.nested_types_by_name[nested.name])


def _gather(file: FileDescriptor, found: dict[str, FileDescriptor]) -> None:
    """The file after all that its messages are made of."""
    if file.name not in found:
        for used in _used_by(file):
            _gather(used, found)
        found[file.name] = file


def _used_by(file: FileDescriptor) -> list[FileDescriptor]:
    """The other files that a file's messages are made of."""
    used = {
        each.name: each
        for message in file.message_types_by_name.values()
        for each in _used_in(message)
        if each.name != file.name
    }
    return list(used.values())


def _used_in(message: Descriptor) -> Iterator[FileDescriptor]:
    for field in message.fields:
        kind = field.message_type or field.enum_type
        if kind is not None:
            yield kind.file
    for nested in message.nested_types:
        yield from _used_in(nested)
