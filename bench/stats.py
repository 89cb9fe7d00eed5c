"""Medians of ratios, turn by turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ratios of two contestants' figures in the same turns: what the machine does meanwhile meets both."""

    median: float
    low: float
    high: float
    turns: int

    def as_dict(self) -> dict[str, float]:
        return {
            "median": round(self.median, 3),
            "low": round(self.low, 3),
            "high": round(self.high, 3),
            "turns": self.turns,
        }


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """The median of ours over theirs, and the lowest and highest turn. Raises ValueError without a turn."""
    if len(ours) != len(theirs) or not ours:
        raise ValueError("each turn needs a figure of both")
    each = [one / other for one, other in zip(ours, theirs, strict=True) if other]
    if not each:
        raise ValueError("nothing to compare with")
    return Ratio(median(each), min(each), max(each), len(each))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` per cent of the values do not exceed (nearest rank). Raises ValueError."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 100)
    return ordered[max(0, min(len(ordered), int(rank)) - 1)]
