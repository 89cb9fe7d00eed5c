"""What `make protos` wrote of the contract for the command line: its commands, with help, without gRPC.

codegen/commands.py says what is in it and where it is from.
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
    """What is known of an RPC before it is called."""

    rpc: str
    module: str  # of its service's messages
    help: str
    example: str
    fields: Sequence[Field]
    body: bool = False  # takes a request as JSON
    confirm: str = ""  # the question before it; what cannot be undone has one
    paged: bool = False
    file: bool = False  # answers with bytes

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
    """Groups, each with its help and its commands; those of the group `` stand by themselves."""
    found: Mapping[str, Any] = _resource()["groups"]
    return found


def columns() -> Mapping[str, Sequence[str]]:
    """What tables show of a message, by its name."""
    found: Mapping[str, Sequence[str]] = _resource()["columns"]
    return found


def by_hand(method: str) -> Rpc:
    """An RPC whose command is a function, which sees itself to what is no argument."""
    found = rpc(_resource()["by_hand"][method])
    fields = [replace(field, needed=field.needed and field.argument) for field in found.fields]
    return replace(found, fields=fields)


def rpc(told: Mapping[str, Any]) -> Rpc:
    fields = [Field(**field) for field in told["fields"]]
    return Rpc(**{**told, "fields": fields})


@cache
def find(method: str) -> Rpc:
    """Any RPC, by its name."""
    for group in groups().values():
        for told in group["commands"].values():
            if told["rpc"].endswith(f".{method}"):
                return rpc(told)
    return by_hand(method)
