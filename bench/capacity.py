"""The capacity table of docs/operations.md, from the figures that docs/benchmarks shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bench.folders import DOCS

PAGE = DOCS / "README.md"
GUIDE = DOCS.parent / "operations.md"
BUSY = 0.7  # how much of a core to plan with: more, and calls wait for each other
CALLS = {
    "REST GET user, hot set": "GET user, asked for often (hot set, 1 % writes)",
    "REST GET user, uniform": "GET user, each another one",
    "REST GET connectors": "GET connectors of a user, asked for often",
    "REST POST user": "POST user, with its audit event",
    "gRPC GetUser": "gRPC GetUser, asked for often",
}
_BETWEEN = re.compile(r"(<!-- capacity[^>]*-->\n).*?(<!-- end of capacity -->)", re.DOTALL)
_CASE = re.compile(r"^(\S[^|\n]*):\n\n\| \| replies/s .*\n\|[-|]+\n((?:\|.*\n)+)", re.MULTILINE)
_SYNCS = re.compile(r"^\| syncs a second of a worker \| ([\d.]+)", re.MULTILINE)


def table(page: str) -> str:
    """From the text of docs/benchmarks/README.md."""
    lines = [
        "| | processor time of one: Finlink | MongoDB | a core of Finlink | a core of the primary |",
        "|---|---|---|---|---|",
        *_calls(page),
    ]
    if syncs := _SYNCS.search(page):
        lines.append(
            f"| a sync with Fi Money that brings nothing new | | | {_rounded(float(syncs[1]) * BUSY)}/s | |"
        )
    return "\n".join(lines) + "\n"


def write() -> Path:
    """Put the table of the page as it is into the guide."""
    GUIDE.write_text(renewed(GUIDE.read_text(), PAGE.read_text()))
    return GUIDE


def renewed(guide: str, page: str) -> str:
    """The guide's text with the page's table."""
    return _BETWEEN.sub(lambda found: found[1] + table(page) + found[2], guide)


def _calls(page: str) -> Iterator[str]:
    # `make bench` alone: other parts of the page have tables of the same load with other contestants.
    _, _, rest = page.partition("\n## `make bench`\n")
    tables = dict(_CASE.findall(rest.partition("\n## ")[0]))
    for begins, name in CALLS.items():
        for title, rows in tables.items():
            if title.startswith(begins):
                (row,) = [line for line in rows.splitlines() if line.startswith("| Finlink |")]
                cells = [cell.strip().replace(",", "") for cell in row.split("|")]
                own, mongod = int(cells[5]), int(cells[6])
                yield (
                    f"| {name} | {own:,} µs | {mongod:,} µs "
                    f"| {_rounded(BUSY * 1e6 / own)}/s | {_rounded(BUSY * 1e6 / mongod)}/s |"
                )


def _rounded(number: float) -> str:
    """To two figures, which is as good as these are."""
    return f"{float(f'{number:.1e}'):,.0f}"
