"""The commands that `make protos` derived from the contract, with their help; read without gRPC.

See codegen/commands.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import finlink

_RESOURCE = "commands.json"


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a request as an argument or option."""

    json: str  # its path, as `preferences.currency`
    name: str
    help: str
    type: str  # text, int, float, bool, mask, map, json, file, content, secret
    argument: bool = False
    in_path: bool = False
    needed: bool = False
    repeated: bool = False
    words: Sequence[str] = ()  # the only ones allowed
    values: Sequence[str] = ()  # what the words stand for, where they are an enum's


@dataclass(frozen=True, kw_only=True)
class Rpc:
    """The facts about an RPC before it is called."""

    rpc: str
    module: str  # of its service's messages
    help: str
    example: str
    fields: Sequence[Field]
    body: bool = False  # takes a request as JSON
    confirm: str = ""  # the question to ask first
    paged: bool = False
    file: bool = False  # replies with bytes

    @property
    def service(self) -> str:
        return self.rpc.rpartition(".")[0]

    @property
    def method(self) -> str:
        return self.rpc.rpartition(".")[2]


@cache
def _resource() -> Mapping[str, Any]:
    content: Mapping[str, Any] = json.loads(
        Path(finlink.__path__[0]).joinpath(_RESOURCE).read_bytes()
    )
    return content


def groups() -> Mapping[str, Any]:
    """Groups, each with its help and its commands; the group `` has those at the top."""
    found: Mapping[str, Any] = _resource()["groups"]
    return found


def columns() -> Mapping[str, Sequence[str]]:
    """Columns of tables, by the full name of the message in a row."""
    found: Mapping[str, Sequence[str]] = _resource()["columns"]
    return found


def by_hand(method: str) -> Rpc:
    """An RPC whose command is written by hand; only arguments are checked for it."""
    found = rpc(_resource()["by_hand"][method])
    fields = [replace(field, needed=field.needed and field.argument) for field in found.fields]
    return replace(found, fields=fields)


def rpc(described: Mapping[str, Any]) -> Rpc:
    fields = [Field(**field) for field in described["fields"]]
    return Rpc(**{**described, "fields": fields})


@cache
def find(method: str) -> Rpc:
    """Any RPC, by its name."""
    for group in groups().values():
        for described in group["commands"].values():
            if described["rpc"].endswith(f".{method}"):
                return rpc(described)
    return by_hand(method)
