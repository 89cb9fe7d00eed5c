"""The output of commands: JSON for pipes, text and colour for people; tables.py lays it out."""

from __future__ import annotations

import json
import re
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, TypeAlias

import typer
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from google.protobuf.message import Message

Json: TypeAlias = dict[str, Any]

UNLIMITED = 100_000  # columns: what is no terminal has no edge to wrap at
_ALSO_SHOWN = "\n\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}\N{NO-BREAK SPACE}"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
# Numbers whose names do not say what they are in.
_UNITS = {"sessionDuration": "minutes", "syncInterval": "minutes"}
# The digits of ISO 4217 after the point, where they are not two.
_DIGITS = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0,
    "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
    "CLF": 4, "UYW": 4,
}  # fmt: skip
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
        made.width = UNLIMITED
    return made


def to_json(message: Message) -> Json:
    """A message as REST has it."""
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(message, always_print_fields_with_no_presence=True)


def print_json(content: Json, *, stderr: bool = False) -> None:
    """One object on one line."""
    typer.echo(json.dumps(content), err=stderr)


def label(name: str) -> str:
    """`connectionStatus` as people write it, with the unit of numbers that do not say theirs."""
    unit = _UNITS.get(name)
    return re.sub(r"([A-Z])", r" \1", name).lower() + (f" ({unit})" if unit else "")


def money(value: str, currency: str) -> str:
    """An amount rounded to the digits of its currency, if it has one; JSON has it whole."""
    try:
        digits = _DIGITS.get(currency, 2)
        rounded = Decimal(value).quantize(Decimal(1).scaleb(-digits)) if currency else value
    except InvalidOperation:
        return f"{value} {currency}"
    return f"{rounded} {currency}".rstrip()


def local(moment: str) -> str:
    """A time of the contract on the clock of here."""
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M:%S}"


def safe(text: str) -> str:
    """The text without what could steer a terminal; what comes from platforms may hold anything.

    Joiners are part of names in many scripts; marks that turn the direction of what follows are not.
    """
    return "".join(
        each if each.isprintable() or each in _ALSO_SHOWN else _REPLACEMENT for each in text
    )


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
            shown = money(str(amount), str(value.get("currency", "")))
        case {"dataType": data_type, "recordsCount": count}:
            shown = f"{data_type} {count} (+{value['addedCount']})"
        case {"dataType": data_type, "code": code}:
            shown = f"{data_type} ({code})"
        case dict():
            shown = " ".join(str(cell(each)) for each in value.values())
        case _:
            shown = str(value)
    return Text(safe(shown), _STYLES.get(shown, ""))
