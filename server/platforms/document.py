"""Reading a platform's JSON: every reply is either understood or a `PlatformDataError`.

A `Node` is a JSON value together with the place it stands at, so that an error says which field was
wrong and what was expected. Places are made of names this code asks for, never of values: messages
are shown to callers and must hold no secret and no personal data.

A document that is parsed with a list of faults loses only what is wrong in it: rows and optional
fields that cannot be read are left out and noted there. Without one the first of them raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import partial
from typing import NoReturn, TypeVar

from server.platforms.base import PlatformDataError, PlatformError
from server.platforms.records import Money

T = TypeVar("T")

# India has one time zone and no summer time.
IST = timezone(timedelta(hours=5, minutes=30), "IST")

# Enough for any amount of money or units, and little enough that plain notation stays short: a
# hostile 1e999999 would otherwise become a megabyte of zeros.
_LARGEST_EXPONENT = 30
_MOST_DIGITS = 34
_SIX_PLACES = Decimal("0.000001")
_EXACT = Context(prec=2 * _MOST_DIGITS, traps=[InvalidOperation, Inexact])

_NUMERIC_TEXT = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
_WHOLE_TEXT = re.compile(r"-?[0-9]{1,18}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAY_AND_TIME = re.compile(_DAY.pattern + r"[ T][0-9]{2}:[0-9]{2}")
_CURRENCY = re.compile(r"[A-Z]{3}")


Faults = list[PlatformError]  # why something is missing


def parse(text: str | bytes, place: str, faults: Faults | None = None) -> Node:
    """Parse JSON with exact decimals. `place` names the reply in errors."""
    try:
        value = json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, ArithmeticError, RecursionError):
        # `from None`: a decode error carries the whole document with it.
        raise PlatformDataError(f"{place}: expected a JSON document") from None
    return Node(value, place, faults)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def plain(value: Decimal) -> Decimal | None:
    """The same number without trailing zeros or a positive exponent; None if out of all bounds."""
    if not value.is_finite():
        return None
    if not value:
        return Decimal(0)
    digits = len(value.as_tuple().digits)
    if abs(value.adjusted()) > _LARGEST_EXPONENT or digits > _MOST_DIGITS:
        return None
    shortest = value.normalize(_EXACT)
    if shortest == shortest.to_integral_value():
        return shortest.quantize(Decimal(1), context=_EXACT)
    return shortest


def exact_product(*factors: Decimal) -> Decimal | None:
    """The product, rounded to 28 digits where it has more; None if out of bounds."""
    product = Decimal(1)
    for factor in factors:
        product *= factor
    return plain(product)


def quotient(dividend: Decimal, divisor: Decimal) -> Decimal | None:
    """Rounded to 6 digits after the point; None if out of bounds, or by nothing."""
    try:
        return plain((dividend / divisor).quantize(_SIX_PLACES))
    except ArithmeticError:
        return None


@dataclass(frozen=True, slots=True)
class Node:
    value: object = field(repr=False)
    place: str
    faults: Faults | None = field(default=None, repr=False, compare=False)

    def bad(self, expected: str) -> PlatformDataError:
        return PlatformDataError(f"{self.place}: expected {expected}")

    def as_object(self) -> dict[str, object]:
        if not isinstance(self.value, dict):
            raise self.bad("an object")
        return self.value

    def get(self, name: str) -> Node:
        """A field that must be there."""
        members = self.as_object()
        if name not in members:
            raise self.bad(f"a field {name}")
        return self._inner(members[name], f".{name}")

    def _inner(self, value: object, place: str) -> Node:
        return Node(value, self.place + place, self.faults)

    def find(self, name: str) -> Node | None:
        """A field that may be missing or null."""
        value = self.as_object().get(name)
        return None if value is None else self._inner(value, f".{name}")

    def read(self, name: str, how: Callable[[Node], T]) -> T | None:
        """A field read in this way; None if it is missing or null."""
        node = self.find(name)
        return None if node is None else how(node)

    def optional(self, name: str, how: Callable[[Node], T]) -> T | None:
        """A field that only says more about the rest: a wrong one is a fault, and as if it were missing."""
        return self.tolerate(lambda: self.read(name, how))

    def tolerate(self, read: Callable[[], T]) -> T | None:
        """A part of this; None, and a fault, if it cannot be read."""
        if self.faults is None:
            return read()
        try:
            return read()
        except PlatformDataError as error:
            self.faults.append(error)
            return None

    def rows(self, how: Callable[[Node], T | None]) -> list[T]:
        """An array's elements, each read in this way, without those that are None or, as faults, wrong."""
        read = [self.tolerate(partial(how, element)) for element in self.each()]
        return [value for value in read if value is not None]

    def descend(self, *names: str) -> Node | None:
        """A field some levels down, any of which may be missing or null."""
        node: Node | None = self
        for name in names:
            if node is None:
                return None
            node = node.find(name)
        return node

    def each(self) -> Iterator[Node]:
        if not isinstance(self.value, list):
            raise self.bad("an array")
        return (self._inner(element, "[]") for element in self.value)

    def find_each(self, name: str) -> Iterator[Node]:
        """The elements of an array that may be missing or null."""
        node = self.find(name)
        return iter(()) if node is None else node.each()

    def members(self) -> Iterator[tuple[str, Node]]:
        """The entries of an object used as a map. Its keys are data: they never enter a place."""
        return ((key, self._inner(value, "[]")) for key, value in self.as_object().items())

    def entries(self, how: Callable[[str, Node], T]) -> list[T]:
        """Those, each read in this way; what is wrong is left out as a fault."""
        read = [self.tolerate(partial(how, key, entry)) for key, entry in self.members()]
        return [value for value in read if value is not None]

    def row(self, *columns: str) -> dict[str, Node]:
        """An array read by position: null and what a shorter row lacks are left out.

        Longer rows are cut to the known columns, so that one more column changes nothing.
        """
        cells = [cell.value for cell in self.each()]
        named = zip(columns, cells, strict=False)
        return {name: self._inner(cell, f".{name}") for name, cell in named if cell is not None}

    def cell(self, row: dict[str, Node], column: str) -> Node:
        """A column that must be there, of what `row` returned for this node."""
        if column not in row:
            raise self.bad(f"a column {column}")
        return row[column]

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.bad("a string")
        # A lone surrogate is legal in JSON and nowhere else; it must not stop a whole sync.
        return self.value.encode("utf-8", "replace").decode("utf-8")

    def word(self) -> str:
        text = self.text()
        if not text:
            raise self.bad("a string that is not empty")
        return text

    def texts(self) -> tuple[str, ...]:
        return tuple(element.text() for element in self.each())

    def integer(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.bad("a whole number")
        return self.value

    def number(self) -> Decimal:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float | Decimal):
            raise self.bad("a number")
        try:
            # repr of a float is its shortest exact spelling: no binary tail is added.
            spelled = repr(self.value) if isinstance(self.value, float) else self.value
            number = plain(Decimal(spelled))
        except ArithmeticError:
            number = None
        if number is None:
            raise self.bad("a number within bounds")
        return number

    def number_text(self) -> Decimal:
        """A decimal number spelled as a string; a JSON number serves too."""
        if not isinstance(self.value, str):
            return self.number()
        number = plain(Decimal(self.value)) if _NUMERIC_TEXT.fullmatch(self.value) else None
        if number is None:
            raise self.bad("a decimal number as a string")
        return number

    def money(self) -> Money:
        """A Fi amount: whole units as a string and nanos (10⁻⁹), either absent when zero."""
        nanos, total = self.find("nanos"), self.read("units", Node._whole) or Decimal(0)
        if nanos is not None:
            part = nanos.integer()
            if abs(part) >= 10**9:
                raise nanos.bad("less than a whole unit")
            total += Decimal(part).scaleb(-9)
        value = plain(total)
        if value is None:
            raise self.bad("an amount within bounds")
        return Money(value, self.read("currencyCode", Node._currency))

    def _whole(self) -> Decimal:
        spelled = str(self.value) if isinstance(self.value, str | int) else ""
        if isinstance(self.value, bool) or not _WHOLE_TEXT.fullmatch(spelled):
            raise self.bad("a whole number as a string")
        return Decimal(spelled)

    def _currency(self) -> str | None:
        code = self.text()
        if code and not _CURRENCY.fullmatch(code):
            raise self.bad("a currency code of three letters")
        return code or None

    def day(self) -> date:
        """YYYY-MM-DD, and nothing else."""
        text = self.text()
        with suppress(ValueError):
            if _DAY.fullmatch(text):
                return date.fromisoformat(text)
        raise self.bad("a date YYYY-MM-DD")

    def instant(self) -> datetime | None:
        """A date and time, in UTC; without an offset it means IST. An empty string is no time."""
        text = self.text()
        if not text:
            return None
        with suppress(ValueError, OverflowError):
            # The form is checked too: `fromisoformat` also reads weeks and compact dates.
            if _DAY_AND_TIME.match(text):
                moment = datetime.fromisoformat(text)
                return (moment if moment.tzinfo else moment.replace(tzinfo=IST)).astimezone(UTC)
        raise self.bad("a date and time")

    def day_or_instant(self) -> date | None:
        """A date, or the day in India of a date and time. An empty string is no date."""
        text = self.text()
        if not text or _DAY.fullmatch(text):
            return self.day() if text else None
        moment = self.instant()
        try:
            return None if moment is None else moment.astimezone(IST).date()
        except OverflowError:
            raise self.bad("a date") from None
