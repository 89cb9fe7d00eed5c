"""What commands say: JSON for pipes, tables and colour for people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from google.protobuf.message import Message

Json: TypeAlias = dict[str, Any]

_UNLIMITED = 100_000  # columns: what is no terminal has no edge to wrap at
_ROWS = 10
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_STYLES = {
    **dict.fromkeys(("connected", "active", "success", "yes"), "green"),
    **dict.fromkeys(("error", "expired", "failed", "suspended", "abandoned"), "red"),
    **dict.fromkeys(("partial", "deferred", "in_progress", "inactive", "cancelled"), "yellow"),
}


class Screen(Console):
    """A console that leaves it to the program what to do once nobody reads."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def screen(*, stderr: bool = False) -> Screen:
    """Where to write for people. Colour is for terminals, and NO_COLOR switches it off."""
    made = Screen(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = _UNLIMITED
    return made


def to_json(message: Message) -> Json:
    """A message as REST has it."""
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(message, always_print_fields_with_no_presence=True)


def print_json(content: Json, *, stderr: bool = False) -> None:
    """One object on one line."""
    typer.echo(json.dumps(content), err=stderr)


def label(name: str) -> str:
    """`connectionStatus` as people write it."""
    return re.sub(r"([A-Z])", r" \1", name).lower()


def local(moment: str) -> str:
    """A time of the contract on the clock of here."""
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M:%S}"


def safe(text: str) -> str:
    """The text without what could steer a terminal; what comes from platforms may hold anything."""
    shown = (
        each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text
    )
    return "".join(shown)


def cell(value: Any) -> Text:
    """A value for people."""
    match value:
        case None:
            shown = ""
        case bool():
            shown = "yes" if value else "no"
        case list():
            shown = ", ".join(str(cell(each)) for each in value)
        case str() if _TIME.fullmatch(value):
            shown = local(value)
        case {"value": amount}:
            shown = f"{amount} {value.get('currency', '')}".rstrip()
        case {"dataType": data_type, "recordsCount": count}:
            shown = f"{data_type} {count} (+{value['addedCount']})"
        case {"dataType": data_type, "code": code}:
            shown = f"{data_type} ({code})"
        case _:
            shown = str(value)
    return Text(safe(shown), _STYLES.get(shown, ""))


def table(rows: Iterable[Json], columns: Sequence[str]) -> Table:
    """A line for each row; a column is a path in it, as `profile.city`."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    names = [path.rpartition(".")[2] for path in columns]
    for path, name in zip(columns, names, strict=True):
        title = name if names.count(name) == 1 else path.replace(".", " ")
        whole = name == "id" or name.endswith(("Id", "At"))
        made.add_column(label(title), no_wrap=whole, overflow="fold")
    for row in rows:
        made.add_row(*(cell(_at(row, path)) for path in columns))
    return made


def details(data: Json, lists: Mapping[str, Sequence[str]] | None = None) -> RenderableType:
    """An object's facts, a line each. Under them its lists, the first rows with the columns in `lists`."""
    facts = Table.grid(padding=(0, 2))
    parts: list[RenderableType] = [facts]

    def add(data: Json, depth: int) -> None:
        for name, value in data.items():
            title = "  " * depth + label(name)
            if lists and name in lists:
                if value:
                    parts.extend(("", Text(label(name), "bold")))
                    parts.append(table(value[:_ROWS], lists[name]))
            elif isinstance(value, dict) and "value" not in value:
                facts.add_row(title, "")
                add(value, depth + 1)
            else:
                facts.add_row(title, cell(value))

    add(data, 0)
    return Group(*parts)


def _at(row: Json, path: str) -> Any:
    value: Any = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
