"""Plots in a terminal: columns over days, and bars beside names."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

EIGHTHS = " ▁▂▃▄▅▆▇█"
_FULL, _PARTS = "█", " ▏▎▍▌▋▊▉"
_STEPS = 8


def columns(values: Sequence[Decimal], height: int, width: int = 1) -> list[str]:
    """Lines from top to bottom, in which each value is a column as high as it is; a negative one has none."""
    highest = max((*values, Decimal(0))) or Decimal(1)
    steps = [_steps(value, highest, height * _STEPS) for value in values]
    return [
        " ".join(
            EIGHTHS[min(max(each - level * _STEPS, 0), _STEPS)] * width for each in steps
        ).rstrip()
        for level in reversed(range(height))
    ]


def bar(value: Decimal, whole: Decimal, width: int) -> str:
    """A bar as long as the value is of the whole; it ends where the whole does."""
    steps = _steps(value, whole or Decimal(1), width * _STEPS)
    return (_FULL * (steps // _STEPS) + _PARTS[steps % _STEPS]).rstrip()


def _steps(value: Decimal, whole: Decimal, most: int) -> int:
    """Any value above 0 has at least one step."""
    found = round(max(value, Decimal(0)) / whole * most)
    return min(max(found, 1 if value > 0 else 0), most)
