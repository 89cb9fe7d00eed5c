"""The output of commands: JSON for pipes, tables and colour for people."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
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
_WIDE = 24  # what is longer may be folded
_GAP = 2  # between columns
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
        case dict():
            shown = " ".join(str(cell(each)) for each in value.values())
        case _:
            shown = str(value)
    return Text(safe(shown), _STYLES.get(shown, ""))


def table(rows: Sequence[Json], columns: Sequence[str], width: int = _UNLIMITED) -> RenderableType:
    """A line for each row; a column is a path in it, as `profile.city`.

    Left out are those that no row has, and those but the first for which there is no space.
    """
    made = Table(box=None, pad_edge=False, header_style="bold")
    cells = {path: [cell(_at(row, path)) for row in rows] for path in columns}
    wanted = [path for path in columns if any(cells[path])]
    shown: list[str] = []
    left_out: list[str] = []
    space = width
    for path, title in _titles(wanted).items():
        whole = path.endswith(("Id", "At")) or path.rpartition(".")[2] == "id"
        needed = _needed(title, cells[path], whole=whole)
        if shown and needed > space:
            left_out.append(title)
            continue
        shown.append(path)
        space -= needed + _GAP
        made.add_column(title, no_wrap=whole, overflow="fold", min_width=min(needed, width))
    for row in zip(*(cells[path] for path in shown), strict=True):
        made.add_row(*row)
    if not left_out:
        return made
    names = ", ".join(left_out)
    return Group(made, Text(f"Not shown for lack of space: {names}. --json has all.", "dim"))


def _needed(title: str, cells: Sequence[Text], *, whole: bool) -> int:
    """How wide a column is at least; long texts may be folded, and titles between words."""
    longest = max((each.cell_len for each in cells), default=0)
    if whole:
        return max(len(title), longest)
    return max(*map(len, title.split()), min(longest, _WIDE))


def _titles(paths: Sequence[str]) -> dict[str, str]:
    """A title for each column: the last part of its path where that names it."""
    names = [path.rpartition(".")[2] for path in paths]
    return {
        path: label(name if names.count(name) == 1 else path.replace(".", " "))
        for path, name in zip(paths, names, strict=True)
    }


def details(
    data: Json, lists: Mapping[str, Sequence[str]] | None = None, width: int = _UNLIMITED
) -> RenderableType:
    """An object's facts, a line each. Under them its lists, the first rows with the columns in `lists`."""
    facts = Table.grid(padding=(0, 2))
    parts: list[RenderableType] = [facts]

    def add(data: Json, depth: int) -> None:
        for name, value in data.items():
            title = "  " * depth + label(name)
            if lists and lists.get(name):
                if value:
                    parts.extend(("", Text(label(name), "bold")))
                    parts.append(table(value[:_ROWS], lists[name], width))
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
