"""The contract as the completeness tests walk it: what `make protos` wrote, with its comments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from buf.validate import validate_pb2
from finlink.rules.v1 import format_pb2, rules_pb2
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, ServiceDescriptor

from server.core.authorization import Reach
from server.domains.registry import CONTRACT
from server.rpc.method import Method
from tests.stack import ROOT

# Extensions of the options in the descriptor sets: without their modules those stay unknown fields.
OPTIONS = (annotations_pb2.http, rules_pb2.method, format_pb2.format, validate_pb2.field)

GEN = ROOT / "gen"
# Well-known messages that the strict JSON binder and the validation treat as one value.
MASK, RAW_BODY = "google.protobuf.FieldMask", "google.api.HttpBody"
VALUES = frozenset({MASK, RAW_BODY})


@cache
def descriptor_set(name: str = "finlink.binpb") -> descriptor_pb2.FileDescriptorSet:
    """A descriptor set of `gen/`."""
    return descriptor_pb2.FileDescriptorSet.FromString((GEN / name).read_bytes())


def own_files() -> list[descriptor_pb2.FileDescriptorProto]:
    """The contract's own files, with their comments."""
    return [file for file in descriptor_set().file if file.name.startswith("finlink/")]


def services() -> list[ServiceDescriptor]:
    return [service for file in CONTRACT for service in file.services_by_name.values()]


def methods() -> list[Method]:
    return [Method(method) for service in services() for method in service.methods]


def methods_for_nobody() -> list[Method]:
    """Those that a Finlink without API keys serves to callers without any credential.

    What refuses the others stands before all that reads a request.
    """
    return [
        method
        for method in methods()
        if method.access.open_without_keys or method.access.reach is Reach.PUBLIC
    ]


def nested(message: Descriptor) -> Iterator[Descriptor]:
    """The message and all that its fields hold, each once."""
    seen: set[str] = set()
    waiting = [message]
    while waiting:
        current = waiting.pop()
        if current.full_name in seen or current.full_name in VALUES:
            continue
        seen.add(current.full_name)
        if not current.GetOptions().map_entry:
            yield current
        waiting += [field.message_type for field in current.fields if field.message_type]


def request_fields() -> list[FieldDescriptor]:
    """Every field a caller can send, those of nested messages included, each once."""
    found = {
        field.full_name: field
        for method in methods()
        for message in nested(method.request)
        for field in message.fields
    }
    return list(found.values())


def comments(file: descriptor_pb2.FileDescriptorProto) -> dict[tuple[int, ...], str]:
    """The comment that leads each place of a file, by its path in the descriptor."""
    return {
        tuple(location.path): location.leading_comments.strip()
        for location in file.source_code_info.location
    }


def documented(
    file: descriptor_pb2.FileDescriptorProto,
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Everything in a file that needs a comment: its name, and its path in the descriptor."""
    for index, message in enumerate(file.message_type):
        yield from _of_message(f"{file.package}.{message.name}", message, (4, index))
    for index, enum in enumerate(file.enum_type):
        yield from _of_enum(f"{file.package}.{enum.name}", enum, (5, index))
    for index, service in enumerate(file.service):
        yield f"{file.package}.{service.name}", (6, index)
        for number, method in enumerate(service.method):
            yield f"{file.package}.{service.name}.{method.name}", (6, index, 2, number)
    for index, extension in enumerate(file.extension):
        yield f"{file.package}.{extension.name}", (7, index)


def _of_message(
    name: str, message: descriptor_pb2.DescriptorProto, path: tuple[int, ...]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    if message.options.map_entry:
        return
    yield name, path
    for index, field in enumerate(message.field):
        yield f"{name}.{field.name}", (*path, 2, index)
    synthetic = {field.oneof_index for field in message.field if field.proto3_optional}
    for index, oneof in enumerate(message.oneof_decl):
        if index not in synthetic:
            yield f"{name}.{oneof.name}", (*path, 8, index)
    for index, inner in enumerate(message.nested_type):
        yield from _of_message(f"{name}.{inner.name}", inner, (*path, 3, index))
    for index, enum in enumerate(message.enum_type):
        yield from _of_enum(f"{name}.{enum.name}", enum, (*path, 4, index))


def _of_enum(
    name: str, enum: descriptor_pb2.EnumDescriptorProto, path: tuple[int, ...]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield name, path
    for index, value in enumerate(enum.value):
        yield f"{name}.{value.name}", (*path, 2, index)


def ids(items: Sequence[Method]) -> list[str]:
    """Test ids of RPCs."""
    return [method.descriptor.name for method in items]
