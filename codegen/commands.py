"""Writes `commands.json` among the Python stubs: the commands of `finlink`, one for each RPC.

Python modules that protoc generates have no comments, and `finlink --help` must not import them anyway. So
the commands with their help, arguments and options are derived here from the contract. An RPC needs only its
`.proto`. A `commands.yaml` beside it may refine the result:

    samples:  {user_id: asha}            values for the examples in helps
    columns:  {User: [userId, email]}    columns of tables, most important first; `userId/platform` is one;
                                         of an object alone, the facts that come first
    commands:                            what is to differ from the default, by RPC
      DeleteUser: {name: users delete, arguments: [user_id], options: {force_sync: force}, example: …,
                   help: …, confirm: "Delete {user}?", by_hand: true}

A command that is `by_hand` is a function of finlink_cli; its arguments and options come from here, too.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from codegen import command_fields, command_names
from codegen.comments import comments

RESOURCE = Path("finlink") / "commands.json"
HINTS = "commands.yaml"
_HINTS = {"name", "arguments", "options", "example", "help", "confirm", "by_hand"}
_VARIABLE = re.compile(r"{([a-z_.]+)")
_AMOUNT = {"value": "12.50", "currency": "INR"}
_FILE = "google.api.HttpBody"


def write(contract: descriptor_pb2.FileDescriptorSet, protos: Path, stubs: Path) -> None:
    """Write the file for a contract, refined by the hints in `protos`."""
    content = build(contract, hints(protos))
    (stubs / RESOURCE).write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")))


def hints(protos: Path) -> dict[str, dict[str, Any]]:
    """The hints of all packages, merged; columns by the full name of their message."""
    together: dict[str, dict[str, Any]] = {"samples": {}, "columns": {}, "commands": {}}
    for path in sorted(protos.rglob(HINTS)):
        package = ".".join(path.parent.relative_to(protos).parts)
        found = yaml.safe_load(path.read_text())
        columns = found.get("columns", {})
        found["columns"] = {f"{package}.{message}": columns[message] for message in columns}
        for part, said in found.items():
            if twice := together[part].keys() & said.keys():
                raise ValueError(f"{path}: {', '.join(sorted(twice))} stands elsewhere, too")
            together[part].update(said)
    for name, said in together["commands"].items():
        if unknown := said.keys() - _HINTS:
            raise ValueError(f"{HINTS}: {name} has unknown {', '.join(sorted(unknown))}")
    return together


def build(
    contract: descriptor_pb2.FileDescriptorSet, hints: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Groups with their commands, and columns of tables."""
    pool = descriptor_pool.DescriptorPool()
    said: dict[str, str] = {}
    for file in contract.file:
        pool.Add(file)
        said.update(comments(file))
    services = [
        pool.FindServiceByName(f"{file.package}.{service.name}")
        for file in contract.file
        for service in file.service
    ]
    groups: dict[str, dict[str, Any]] = {}
    by_hand: dict[str, Any] = {}
    for service in services:
        for method in service.methods:
            hint = hints["commands"].get(method.name, {})
            path = hint.get("name", "").split() or _path(service, method)
            command = _command(method, path, said, hint, hints["samples"])
            if hint.get("by_hand"):
                by_hand[method.name] = command
                continue
            group = groups.setdefault(path[0] if path[1:] else "", {"help": "", "commands": {}})
            if path[-1] in group["commands"]:
                raise ValueError(
                    f"two RPCs want the command {path}: give {method.name} a name in {HINTS}"
                )
            group["commands"][path[-1]] = command
        own = command_names.group(service.name, [method.name for method in service.methods])
        if own in groups:
            groups[own]["help"] = groups[own]["help"] or _sentence(said[service.full_name])
    return {"groups": groups, "by_hand": by_hand, "columns": hints["columns"]}


def _path(service: ServiceDescriptor, method: MethodDescriptor) -> list[str]:
    group = command_names.group(service.name, [each.name for each in service.methods])
    return [group, command_names.command(service.name, method.name)]


def _command(
    method: MethodDescriptor,
    path: Sequence[str],
    said: Mapping[str, str],
    hint: Mapping[str, Any],
    samples: Mapping[str, Any],
) -> dict[str, Any]:
    """The facts about an RPC that the command line needs."""
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    noun = command_names.words(command_names.singular(path[0]))
    fields = command_fields.parameters(
        method.input_type,
        said,
        in_path=_VARIABLE.findall(_route(rule)),
        noun=noun,
        hints=command_fields.Hints(hint.get("arguments", ()), hint.get("options")),
    )
    names = {field["path"]: field["name"] for field in fields}
    known = {name.rpartition(".")[2] for name in said}
    help_text = hint.get("help") or command_fields.in_options(said[method.full_name], names, known)
    command: dict[str, Any] = {
        "rpc": method.full_name,
        "module": method.containing_service.file.name.removesuffix(".proto").replace("/", ".")
        + "_pb2",
        "help": help_text,
        "example": hint.get("example") or _example(path, fields, samples),
        "fields": [
            {key: value for key, value in field.items() if key != "path"} for field in fields
        ],
    }
    if rule.body and any(not field.get("in_path") for field in fields):
        command["body"] = True
    if rule.HasField("delete") or "confirm" in hint:
        command["confirm"] = hint.get("confirm") or _question(path, noun, fields)
    if _is_paged(method):
        command["paged"] = True
    if method.output_type.full_name == _FILE:
        command["file"] = True
    return command


def _question(path: Sequence[str], noun: Sequence[str], fields: Sequence[Mapping[str, Any]]) -> str:
    """`Delete user asha?`"""
    verb, *rest = path[-1].split("-")
    named = (f"{{{field['name']}}}" for field in fields if field.get("argument"))
    return f"{' '.join([verb.capitalize(), *(rest or noun), *named])}?"


def _route(rule: http_pb2.HttpRule) -> str:
    pattern = rule.WhichOneof("pattern")
    if pattern is None:
        return ""
    return rule.custom.path if pattern == "custom" else str(getattr(rule, pattern))


def _is_paged(method: MethodDescriptor) -> bool:
    data = method.output_type.fields_by_name.get("data")
    listed = data.message_type if data is not None else None
    return (
        listed is not None
        and "pagination" in listed.fields_by_name
        and "page_token" in method.input_type.fields_by_name
    )


def _sentence(text: str) -> str:
    return text.partition(". ")[0].removesuffix(".") + "."


def _example(
    path: Sequence[str], fields: Iterable[Mapping[str, Any]], samples: Mapping[str, Any]
) -> str:
    """A command line with what is needed, and one option."""
    line = ["finlink", *path]
    chosen: list[str] = []
    for field in fields:
        value = _sample(field, samples)
        if field.get("argument"):
            line.append(value)
        elif field["type"] in ("secret", "mask", "json", "content", "file", "map"):
            continue
        elif field["type"] == "bool":
            chosen.append(f"--{field['name'].partition('/')[0]}")
        elif field.get("needed"):
            line += [f"--{field['name']}", value]
        elif field["name"] not in ("limit", "page-token", "page"):
            chosen.append(f"--{field['name']} {value}")
    return " ".join([*map(_quoted, line), *chosen[:1]])


def _quoted(word: str) -> str:
    return word if word.isupper() else shlex.quote(word)


def _sample(field: Mapping[str, Any], samples: Mapping[str, Any]) -> str:
    """A value of a field for an example."""
    if field["path"] in samples:
        return str(samples[field["path"]])
    if words := field.get("words"):
        return str(words[0])
    name = str(field["path"]).rpartition(".")[2]
    plain = {"int": "5", "float": "12.50", "bool": "true"}
    return _AMOUNT.get(name) or plain.get(
        field["type"], str(field["name"]).rpartition(".")[2].upper()
    )
