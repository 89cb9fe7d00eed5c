"""What chaos scenarios measured, printed together at the end of a run."""

from __future__ import annotations

from collections.abc import Sequence

# In the order of the scenarios' names: (scenario, what, figure).
_shown: list[tuple[str, str, str]] = []


class Figures:
    """Takes the figures of one scenario."""

    def __init__(self, scenario: str) -> None:
        self._scenario = scenario

    def show(self, what: str, figure: object) -> None:
        """Have `what: figure` printed at the end of the run."""
        text = f"{figure:,.3f}" if isinstance(figure, float) else str(figure)
        _shown.append((self._scenario, what, text))


def report() -> Sequence[str]:
    """One line a figure, its scenario before the first of each."""
    lines: list[str] = []
    last = ""
    for scenario, what, figure in _shown:
        if scenario != last:
            lines.append(scenario)
            last = scenario
        lines.append(f"    {what}: {figure}")
    return lines
