"""Rows of the table of what must be shown."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from bench.stats import ratio


def ratio_row(
    title: str, ours: Sequence[float], theirs: Sequence[float], at_least: float, aim: float,
    *, less: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Ours over theirs, turn by turn."""
    bounds = {"at_least": at_least, "aim": aim, "less": less}
    return {"row": title, **ratio(ours, theirs).as_dict(), **bounds}


def figure_row(
    title: str, values: Sequence[float], bound: float | None, unit: str, *, less: bool = True
) -> dict[str, Any]:
    """The median of a figure that has a unit."""
    found = {"median": round(median(values), 3), "low": min(values), "high": max(values)}
    bounds = {"at_least": bound, "aim": bound, "less": less, "unit": unit}
    return {"row": title, **found, "turns": len(values), **bounds}
