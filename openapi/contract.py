"""The contract as `make protos` left it: its RPCs, and the comment of each thing in it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor

from codegen.comments import comments
from server.rpc.method import Method

ROOT = Path(__file__).resolve().parents[1]
DESCRIPTORS = ROOT / "gen" / "finlink.binpb"

_CODE = re.compile(r"`[^`]*`")
_SNAKE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+")


@cache
def files() -> tuple[descriptor_pb2.FileDescriptorProto, ...]:
    """The contract's own files."""
    content = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    return tuple(file for file in content.file if file.name.startswith("finlink/"))


def services() -> list[ServiceDescriptor]:
    """In the order users, connectors, the rest."""
    found: list[ServiceDescriptor] = []
    for file in files():
        if file.service:
            importlib.import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2")
            pool = descriptor_pool.Default()
            found += [pool.FindServiceByName(f"{file.package}.{s.name}") for s in file.service]
    first = ("UserService", "ConnectorService")
    return sorted(found, key=lambda s: first.index(s.name) if s.name in first else len(first))


def methods(service: ServiceDescriptor) -> list[Method]:
    return [Method(method) for method in service.methods]


def comment(full_name: str) -> str:
    """The contract's comment of a message, field, RPC, service or enum value, in REST's words."""
    return _comments()[full_name]


def in_json(text: str) -> str:
    """The text with fields of the contract named as JSON names them."""
    names = _names_in_json()
    return _SNAKE.sub(lambda word: names.get(word.group(), word.group()), text)


@cache
def _comments() -> Mapping[str, str]:
    """Fields in backticks are named as JSON names them."""
    return {
        name: _CODE.sub(lambda code: in_json(code.group()), text)
        for file in files()
        for name, text in comments(file).items()
    }


@cache
def _names_in_json() -> Mapping[str, str]:
    return {
        field.name: field.json_name
        for file in files()
        for message in file.message_type
        for field in message.field
        if field.name != field.json_name
    }
