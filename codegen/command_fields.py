"""The arguments and options that a command has for the fields of its RPC's request."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal, cast

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from codegen.command_names import option_names

_DEEPEST = 3  # levels of messages whose fields become options; deeper ones are given as JSON
_ARGUMENTS = 3  # with more of them the order is hard to remember: then they are options
# Options of all commands, and those that are added to commands of RPCs.
RESERVED = {
    "json", "format", "jq", "wide", "address", "api-key", "access-token", "tls", "plain", "no-tls", "ca",
    "client-cert", "client-key", "help", "all", "body", "output", "remove", "reset", "yes", "no",
}  # fmt: skip
_TYPES = {
    FieldDescriptor.CPPTYPE_INT32: "int", FieldDescriptor.CPPTYPE_INT64: "int",
    FieldDescriptor.CPPTYPE_UINT32: "int", FieldDescriptor.CPPTYPE_UINT64: "int",
    FieldDescriptor.CPPTYPE_DOUBLE: "float", FieldDescriptor.CPPTYPE_FLOAT: "float",
    FieldDescriptor.CPPTYPE_BOOL: "bool", FieldDescriptor.CPPTYPE_STRING: "text",
    FieldDescriptor.CPPTYPE_ENUM: "text",
}  # fmt: skip
_MASK, _FILE = "google.protobuf.FieldMask", "google.api.HttpBody"
_WHOLE_FILE = {
    "path": "file", "json": "", "name": "file", "type": "content",
    "argument": True, "needed": True, "in_path": True,
}  # fmt: skip
# Messages whose JSON form is a string.
_AS_TEXT = ("google.protobuf.Timestamp", "google.protobuf.Duration")
_NUMBERS: Sequence[Literal["int32", "int64", "uint32", "uint64", "double", "float"]] = (
    "int32", "int64", "uint32", "uint64", "double", "float",
)  # fmt: skip


@dataclass(frozen=True)
class Hints:
    """How a domain refines the parameters of one command."""

    arguments: Sequence[str] = ()  # fields, if not those that are needed
    options: Mapping[str, str] | None = None  # field: name, or `yes/no` of a boolean


@dataclass(frozen=True)
class _Field:
    """A field of the request, or of a message in it."""

    chain: tuple[FieldDescriptor, ...]
    needed: bool

    @property
    def own(self) -> FieldDescriptor:
        return self.chain[-1]

    @property
    def path(self) -> str:
        return ".".join(field.name for field in self.chain)

    @property
    def secret(self) -> bool:
        return bool(self.own.GetOptions().debug_redact)


def parameters(
    request: Descriptor,
    comments: Mapping[str, str],
    *,
    in_path: Sequence[str],
    noun: Sequence[str],
    hints: Hints,
) -> list[dict[str, Any]]:
    """The parameters of a command, each with its help and its place in the request's JSON."""
    if request.full_name == _FILE:
        help_text = (
            comments.get(f"{request.full_name}.data") or "The request to send; `-` reads the input."
        )
        return [{**_WHOLE_FILE, "help": help_text}]
    fields = list(_fields(request, (), needed=True))
    first = _arguments(fields, in_path, hints)
    names = _names(fields, noun, first, hints)
    ordered = [*first, *(field.path for field in fields if field.path not in first)]
    by_path = {field.path: field for field in fields}
    found = []
    for path in ordered:
        field = by_path[path]
        described = {
            "path": path,
            "json": ".".join(each.json_name for each in field.chain),
            "name": names[path],
            "help": comments.get(field.own.full_name, ""),
            **_kind(field),
        }
        if path in first:
            described["argument"] = True
        if field.needed or path in in_path:
            described["needed"] = True
        if path in in_path:
            described["in_path"] = True
            described["type"] = described["type"].replace("secret", "text")
        found.append(described)
    known = {name.rpartition(".")[2] for name in comments}
    for parameter in found:
        others = {path: name for path, name in names.items() if path != parameter["path"]}
        parameter["help"] = in_options(parameter["help"], others, known)
    return found


def allowed(field: FieldDescriptor) -> list[str]:
    """The words that a field, or each of its items, may have."""
    if field.enum_type is not None:
        prefix = f"{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', field.enum_type.name).upper()}_"
        return [value.name.removeprefix(prefix).lower() for value in field.enum_type.values[1:]]
    rules = _rules(field)
    if rules.HasField("field_mask"):
        return [word.replace("_", "-") for word in getattr(rules.field_mask, "in")]
    items = rules.repeated.items if rules.HasField("repeated") else rules
    return [str(word) for word in getattr(items.string, "in")]


def _fields(
    message: Descriptor, outer: tuple[FieldDescriptor, ...], *, needed: bool
) -> Iterator[_Field]:
    """The fields of a request, and those of the messages in it instead of these."""
    for field in message.fields:
        chain = (*outer, field)
        of_it = field.message_type
        whole = field.is_repeated or of_it is None or of_it.file.package.startswith("google.")
        must = needed and _is_needed(field)
        if whole or len(chain) > _DEEPEST or of_it in {each.containing_type for each in chain}:
            yield _Field(chain, must)
        else:
            yield from _fields(cast("Descriptor", of_it), chain, needed=must)


def _is_needed(field: FieldDescriptor) -> bool:
    """Whether a request without it breaks a rule."""
    rules = _rules(field)
    if rules.required:
        return True
    if field.has_presence or rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE:
        return False
    if field.is_repeated:
        return rules.repeated.min_items > 0
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return rules.HasField("string") and not _only_bounded(rules)
    return any(rules.HasField(kind) for kind in _NUMBERS)


def _only_bounded(rules: validate_pb2.FieldRules) -> bool:
    """Whether an empty string follows the rules."""
    return all(rule.name == "max_len" for rule, _ in rules.string.ListFields())


def _rules(field: FieldDescriptor) -> validate_pb2.FieldRules:
    return field.GetOptions().Extensions[validate_pb2.field]


def _arguments(fields: Sequence[_Field], in_path: Sequence[str], hints: Hints) -> list[str]:
    """The fields that are arguments: those of the path, and others that are needed if they are few."""
    if hints.arguments:
        return list(hints.arguments)
    needed = [
        field.path
        for field in fields
        if field.needed
        and len(field.chain) == 1
        and field.path not in in_path
        and not field.secret
        and field.own.cpp_type
        not in (FieldDescriptor.CPPTYPE_BOOL, FieldDescriptor.CPPTYPE_MESSAGE)
    ]
    lists = [field.path for field in fields if field.path in needed and field.own.is_repeated]
    few = len(in_path) + len(needed) <= _ARGUMENTS and len(lists) <= 1
    return [*in_path, *sorted(needed, key=lambda path: path in lists)] if few else list(in_path)


def _kind(field: _Field) -> dict[str, Any]:
    """The type of a parameter, and the words it may have."""
    own = field.own
    of_it = own.message_type
    if of_it is not None and of_it.GetOptions().map_entry:
        scalar = of_it.fields_by_name["value"].message_type is None
        return {"type": "map" if scalar else "json", "repeated": scalar}
    if of_it is None:
        kind = _TYPES[own.cpp_type]
        kind = "file" if own.type == FieldDescriptor.TYPE_BYTES else kind
    elif of_it.full_name == _MASK:
        return {"type": "mask", "repeated": True, "words": allowed(own)}
    elif of_it.full_name == _FILE:
        kind = "content"
    else:
        kind = "text" if of_it.full_name in _AS_TEXT else "json"
    described: dict[str, Any] = {"type": "secret" if field.secret else kind}
    if own.is_repeated:
        described["repeated"] = True
    if words := allowed(own):
        described["words"] = words
    if own.enum_type is not None:
        described["values"] = [value.name for value in own.enum_type.values[1:]]
    return described


def _names(
    fields: Sequence[_Field], noun: Sequence[str], arguments: Sequence[str], hints: Hints
) -> dict[str, str]:
    """A name for each field, by path: the shortest that is free; the request's own fields come first."""
    chosen = dict(hints.options or {})
    wanted = {
        field.path: option_names(field.path.split("."), noun, repeated=field.own.is_repeated)
        for field in fields
        if field.path not in chosen
    }
    depth = {field.path: len(field.chain) for field in fields}
    for field in fields:
        if field.own.message_type is not None and field.own.message_type.full_name == _MASK:
            chosen[field.path] = "remove"
            wanted.pop(field.path, None)
    taken = {*RESERVED, *chosen.values()}
    while wanted:
        demand: Counter[tuple[int, str]] = Counter(
            (depth[path], names[0]) for path, names in wanted.items()
        )
        least = {name: min(level for level, each in demand if each == name) for _, name in demand}
        for path in list(wanted):
            name = wanted[path][0]
            free = path in arguments or name not in taken
            if free and demand[least[name], name] == 1 and depth[path] == least[name]:
                chosen[path] = name
                del wanted[path]
            elif len(wanted[path]) == 1:
                raise ValueError(
                    f"no name is left for the option of {path}: give it one in commands.yaml"
                )
            else:
                wanted[path].pop(0)
        taken |= set(chosen.values())
    return chosen


def in_options(text: str, names: Mapping[str, str], known: Set[str]) -> str:
    """The text with the request's fields named as their options, and other known fields as in JSON."""
    return re.sub(
        r"`([a-z]+(?:[_.][a-z]+)+)`",
        lambda word: (
            f"`--{names[word[1]]}`" if word[1] in names else f"`{_in_json(word[1], known)}`"
        ),
        text,
    )


def _in_json(name: str, known: Set[str]) -> str:
    if name.rpartition(".")[2] not in known:
        return name
    return re.sub(r"_([a-z])", lambda letter: letter[1].upper(), name)
