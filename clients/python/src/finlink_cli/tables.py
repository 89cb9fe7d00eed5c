"""Lists and objects for people, laid out for the width there is.

A table shows the columns that fit, the most important first, and says how many it hides. If not even the
first few fit, each row becomes a block with a field a line. A word, such as a status, is never broken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from finlink_cli.output import UNLIMITED, Json, cell, label

_ROWS = 10  # of a list within an object
_LEAST = 3  # columns; with fewer a table says too little
_LINE = 24  # a text may be folded at its spaces, but not into narrower columns
_WORD = 40  # a longer word may be broken: no word of the contract is
_GAP = 2  # between columns


@dataclass(frozen=True, eq=False)
class _Column:
    title: str
    cells: Sequence[Text]

    @cached_property
    def widest(self) -> int:
        return max(cell_len(self.title), *(each.cell_len for each in self.cells))

    @cached_property
    def narrowest(self) -> int:
        texts = [self.title, *(each.plain for each in self.cells)]
        word = max(cell_len(word) for text in texts for word in text.split() or [""])
        line = max((each.cell_len for each in self.cells), default=0)
        return max(min(word, _WORD), min(line, _LINE))


def table(
    rows: Sequence[Json], columns: Sequence[str], width: int = UNLIMITED, *, wide: bool = False
) -> RenderableType:
    """A line for each row, or a block for each. `wide` hides no column.

    A column is a path in the row, as `profile.city`, or several in one: `userId/platform`.
    """
    found = [
        _Column(title, [cell(_at(row, path)) for row in rows])
        for path, title in _titles(columns).items()
    ]
    wanted = [column for column in found if any(column.cells)]
    shown = _fitting(wanted, width)
    if len(shown) < len(wanted) if wide else shown[:_LEAST] != wanted[:_LEAST]:
        return _blocks(wanted)
    parts: list[RenderableType] = [_lines(shown, width)]
    if hidden := [column.title for column in wanted if column not in shown]:
        count = f"{len(hidden)} column{'s' if hidden[1:] else ''}"
        parts.append(Text(f"{count} hidden: --wide shows {', '.join(hidden)}.", "dim"))
    return Group(*parts)


def _fitting(columns: Sequence[_Column], width: int) -> list[_Column]:
    """The columns for which there is space, the first ones before others."""
    shown = []
    for column in columns:
        if column.narrowest <= width:
            shown.append(column)
            width -= column.narrowest + _GAP
    return shown


def _lines(columns: Sequence[_Column], width: int) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    widths = {column.title: column.narrowest for column in columns}
    space = width - sum(widths.values()) - _GAP * (len(columns) - 1)
    for column in sorted(columns, key=lambda column: column.widest):
        more = min(column.widest - column.narrowest, space)
        widths[column.title] += more
        space -= more
    for column in columns:
        made.add_column(column.title, overflow="fold", width=widths[column.title])
    for row in zip(*(column.cells for column in columns), strict=True):
        made.add_row(*row)
    return made


def _blocks(columns: Sequence[_Column]) -> RenderableType:
    blocks: list[RenderableType] = []
    for index in range(len(columns[0].cells)):
        facts = _facts()
        for column in columns:
            if column.cells[index]:
                facts.add_row(column.title, column.cells[index])
        blocks += ["", facts] if blocks else [facts]
    return Group(*blocks)


def _facts() -> Table:
    """A line for each fact; long values are folded."""
    facts = Table.grid(padding=(0, 2), pad_edge=False)
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    return facts


def details(
    data: Json,
    lists: Mapping[str, Sequence[str]] | None = None,
    width: int = UNLIMITED,
    *,
    wide: bool = False,
) -> RenderableType:
    """An object's facts, a line each. Under them its lists, the first rows with the columns in `lists`."""
    facts = _facts()
    parts: list[RenderableType] = [facts]

    def add(data: Json, depth: int) -> None:
        for name, value in data.items():
            title = "  " * depth + label(name)
            if lists and lists.get(name):
                if value:
                    parts.extend(("", Text(label(name), "bold")))
                    parts.append(table(value[:_ROWS], lists[name], width, wide=wide))
                if value[_ROWS:]:
                    parts.append(Text(f"{len(value) - _ROWS} more: --json has all.", "dim"))
            elif isinstance(value, dict) and "value" not in value:
                facts.add_row(title, "")
                add(value, depth + 1)
            else:
                facts.add_row(title, cell(value))

    add(data, 0)
    return Group(*parts)


def _titles(paths: Sequence[str]) -> dict[str, str]:
    """A title for each column: the last part of its path where that names it; a state's is whose it is."""
    names = [path.removesuffix(".state").rpartition(".")[2] for path in paths]
    return {
        path: "/".join(
            label(part).removesuffix(" id") if "/" in path else label(part)
            for part in (name if names.count(name) == 1 else path.replace(".", " ")).split("/")
        )
        for path, name in zip(paths, names, strict=True)
    }


def _at(row: Json, path: str) -> Any:
    if "/" in path:
        parts = (_at(row, part) for part in path.split("/"))
        return "/".join(str(part) for part in parts if part)
    value: Any = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
