"""Arguments and options that several commands have, and those for fields of requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from finlink_cli.contract import Field, Rpc

All = Annotated[
    bool,
    typer.Option(
        "--all", help="All that follow, too; with --json each is an object on its own line."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Body = Annotated[
    Path | None,
    typer.Option(
        "--body",
        metavar="FILE",
        help="Read the request from a file: one JSON object, as in REST. `-` reads standard input. "
        "Options take precedence.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", help="Where to; only you may read it. Default: the output."),
]

CONNECTOR = "connectorId"
# Help that differs from the comment in the contract.
_HELP = {
    CONNECTOR: "The connector: its id, or USER/PLATFORM as asha/zerodha.",
    "pageToken": "`nextPageToken` of the page before.",
}
_TYPES: dict[str, Any] = {
    "int": int, "float": float, "bool": bool, "file": Path, "content": Path,
}  # fmt: skip


def name_of(index: int) -> str:
    """The name of a field's parameter; names of options may not be identifiers."""
    return f"field{index}"


def of_rpc(rpc: Rpc, *, body: bool = False) -> list[Parameter]:
    """A parameter for each field except secrets.

    Where the request may also come as a `body`, arguments that are not part of the path may be omitted.
    """
    return [
        _parameter(name_of(index), field, body=body)
        for index, field in enumerate(rpc.fields)
        if field.type != "secret"
    ]


def _parameter(name: str, field: Field, *, body: bool) -> Parameter:
    help_text = _HELP.get(field.json.rpartition(".")[2], field.help)
    kind: Any = _type(field)
    default: Any = None
    if field.argument:
        declared: Any = typer.Argument(
            metavar=field.name, help=help_text, autocompletion=_completion(field)
        )
        if field.in_path or not body:
            default = Parameter.empty
        elif field.needed:
            declared.help = f"Needed. {help_text}"
    else:
        if field.needed and field.type == "bool":
            help_text = f"{help_text} Default: yes."
        elif field.needed:
            help_text = f"Needed. {help_text}"
            default = None if body else Parameter.empty
        if field.repeated:
            help_text = f"{help_text} May be repeated."
        declared = typer.Option(
            *_flags(field),
            help=help_text,
            metavar=_metavar(field),
            autocompletion=_completion(field),
        )
    optional = kind if default is Parameter.empty else kind | None
    annotation = cast("Any", Annotated)[optional, declared]
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _completion(field: Field) -> Callable[[str], list[str]] | None:
    return {"userId": complete_user, CONNECTOR: complete_connector}.get(field.json)


def complete_user(incomplete: str) -> list[str]:
    from finlink_cli import completion  # it needs the client

    return completion.users(incomplete)


def complete_connector(incomplete: str) -> list[str]:
    from finlink_cli import completion

    return completion.connectors(incomplete)


def _type(field: Field) -> Any:
    if field.words:
        kind: Any = cast("Any", StrEnum)(
            "Word", {re.sub(r"\W", "_", word).upper(): word for word in field.words}
        )
    else:
        kind = _TYPES.get(field.type, str)
    return list.__class_getitem__(kind) if field.repeated else kind


def _flags(field: Field) -> Sequence[str]:
    if field.type == "mask":
        return "--remove", "--reset"
    if field.type != "bool" or field.repeated:
        return (f"--{field.name}",)
    yes, _, no = field.name.partition("/")
    return (f"--{yes}/--{no or f'no-{yes}'}",)


def _metavar(field: Field) -> str | None:
    if field.repeated and field.words:
        return "|".join(field.words)
    if field.repeated and field.type == "text":
        return "TEXT"
    return {"json": "JSON", "map": "KEY=VALUE", "file": "FILE", "content": "FILE"}.get(field.type)
