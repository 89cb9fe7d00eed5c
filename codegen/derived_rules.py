"""Field rules that follow from other parts of the contract.

A closed word list is an enum of the contract, named by the string fields that are restricted to it (`words`
in protos/finlink/rules/v1/words.proto). An `update_mask` names fields of its request. Both become rules of
`buf.validate` in the descriptors that stubs are generated from: the server and the OpenAPI document find
them where rules are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor


class Contract:
    """The files of a descriptor set, with the options that they declare themselves."""

    def __init__(self, files: descriptor_pb2.FileDescriptorSet) -> None:
        self.files = files
        self._pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            self._pool.Add(file)
        options = self._pool.FindMessageTypeByName("google.protobuf.FieldOptions")
        self._options: Any = message_factory.GetMessageClass(options)
        self._words = self._pool.FindExtensionByName("finlink.rules.v1.words")
        self._rules = self._pool.FindExtensionByName("buf.validate.field")

    def lists(self) -> dict[str, tuple[str, ...]]:
        """The words of each list that a field names, by the name of the enum, in the contract's order."""
        found = {enum.full_name: enum for _, _, enum in self._named()}
        named: dict[str, tuple[str, ...]] = {}
        for enum in (
            self._pool.FindEnumTypeByName(f"{file.package}.{declared.name}")
            for file in self.files.file
            for declared in file.enum_type
        ):
            if enum.full_name in found:
                if enum.name in named:
                    raise ValueError(f"two word lists are called {enum.name}")
                named[enum.name] = words(enum)
        return named

    def statuses(self, enum: str) -> dict[str, str]:
        """The gRPC status of each reason, by the names of both."""
        option = self._pool.FindExtensionByName("finlink.errors.v1.status")
        options: Any = message_factory.GetMessageClass(
            self._pool.FindMessageTypeByName("google.protobuf.EnumValueOptions")
        )
        codes = self._pool.FindEnumTypeByName("google.rpc.Code").values_by_number
        return {
            value.name: codes[
                options.FromString(value.GetOptions().SerializeToString()).Extensions[option].grpc
            ].name
            for value in self._pool.FindEnumTypeByName(enum).values[1:]
        }

    def add_word_rules(self) -> None:
        """Restrict each field that names a list to the words of the list."""
        for field, options, enum in self._named():
            rules = options.Extensions[self._rules]
            of_text = (
                rules.repeated.items.string
                if field.label == FieldDescriptor.LABEL_REPEATED
                else rules.string
            )
            getattr(of_text, "in").extend(words(enum))
            field.options.ParseFromString(options.SerializeToString())

    def add_mask_rules(self) -> None:
        """Restrict each `update_mask` to the other fields of its request's body."""
        for request, path in self._requests():
            kept = [field for field in request.field if f"{{{field.name}}}" not in path]
            for mask in kept:
                if mask.name == "update_mask":
                    options = self._options.FromString(mask.options.SerializeToString())
                    names = getattr(options.Extensions[self._rules].field_mask, "in")
                    names.extend(field.name for field in kept if field is not mask)
                    mask.options.ParseFromString(options.SerializeToString())

    def _requests(self) -> Iterator[tuple[descriptor_pb2.DescriptorProto, str]]:
        """The message that each RPC takes, and its path."""
        messages = {
            f".{file.package}.{message.name}": message
            for file in self.files.file
            for message in file.message_type
        }
        for file in self.files.file:
            for service in file.service:
                for method in service.method:
                    rule = method.options.Extensions[annotations_pb2.http]
                    path = str(getattr(rule, str(rule.WhichOneof("pattern"))))
                    yield messages[method.input_type], path

    def _named(
        self,
    ) -> Iterator[tuple[descriptor_pb2.FieldDescriptorProto, Any, EnumDescriptor]]:
        for file in self.files.file:
            for message in file.message_type:
                for field in message.field:
                    options = self._options.FromString(field.options.SerializeToString())
                    if name := options.Extensions[self._words]:
                        yield field, options, self._enum(file.package, name)

    def _enum(self, package: str, name: str) -> EnumDescriptor:
        return self._pool.FindEnumTypeByName(name if "." in name else f"{package}.{name}")


def words(enum: EnumDescriptor) -> tuple[str, ...]:
    """The words of a list."""
    (none, *values) = enum.values
    prefix = none.name.removesuffix("UNSPECIFIED")
    return tuple(value.name.removeprefix(prefix).lower() for value in values)


def python_module(lists: Mapping[str, tuple[str, ...]]) -> str:
    """The lists for code that knows no messages: of each a type, and a tuple of its words."""
    lines = [
        '"""The closed word lists of the contract. Made by `make protos`."""\n',
        "from typing import Final, Literal, get_args\n",
    ]
    for name, listed in lists.items():
        quoted = ", ".join(f'"{word}"' for word in listed)
        lines.append(f"{name} = Literal[{quoted}]")
        lines.append(f"{plural(name)}: Final[tuple[{name}, ...]] = get_args({name})")
    return "\n".join(lines) + "\n"


def plural(name: str) -> str:
    """`CONNECTION_STATUSES` of `ConnectionStatus`."""
    constant = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
    return constant + ("ES" if constant.endswith("S") else "S")
