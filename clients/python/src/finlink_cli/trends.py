"""`finlink trends`: how connections and syncs went, as small plots."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from finlink_cli import output, rpcs
from finlink_cli.cli import Cli
from finlink_cli.command import command

Values: TypeAlias = Sequence[float | None]

_BARS_LEAST, _BARS_MOST = 10, 40
_BESIDE = 46  # columns that the rest of a line takes
_BARS = "▁▂▃▄▅▆▇█"


def _last(values: Iterable[float]) -> float:
    return list(values)[-1]


# The figures that are plotted, and the number that sums each up.
_PLOTTED: Mapping[str, tuple[str, Callable[[Iterable[float]], float]]] = {
    "connected": ("now", _last),
    "expired": ("now", _last),
    "error": ("now", _last),
    "succeeded": ("in all", sum),
    "partial": ("in all", sum),
    "failed": ("in all", sum),
    "lateSecondsMax": ("at most", max),
}
_COLUMNS = ("platform", "of", "plot", "number", "meaning")


@command("trends", rpc="GetConnectorTrends", example="finlink trends --minutes 1440")
def trends(cli: Cli, request: Any) -> None:
    """Plots connections and syncs over the last minutes or hours, by platform."""
    data = output.to_json(rpcs.named(cli, "GetConnectorTrends")(request).data)
    if cli.as_json:
        cli.put(data)
        return
    steps: dict[str, list[output.Json]] = {}
    for point in data["points"]:
        for each in point["platforms"]:
            steps.setdefault(each["platform"], []).append(each)
    bars = min(max(cli.screen.width - _BESIDE, _BARS_LEAST), _BARS_MOST)
    together = math.ceil(len(data["points"]) / bars)
    rows = [row for name, of_it in steps.items() for row in _rows(name, of_it, together)]
    cli.table("points", rows, _COLUMNS)
    seconds = data["stepSeconds"] * together
    cli.say(f"\nFrom {output.local(data['points'][0]['at'])}, {seconds} seconds a bar.")
    for platform, of_it in steps.items():
        failures: Counter[str] = Counter()
        for step in of_it:
            failures.update({each["code"]: each["count"] for each in step["failures"]})
        for code, count in failures.most_common():
            cli.say(f"{platform}: {count} × {code}")


def _rows(platform: str, steps: Sequence[output.Json], together: int) -> Iterable[output.Json]:
    """The plot of a platform; a bar covers so many intervals together."""
    for name, (meaning, number_of) in _PLOTTED.items():
        values = [step.get(name) for step in steps]
        known = _known(values)
        parts = [_known(values[at : at + together]) for at in range(0, len(values), together)]
        yield {
            "platform": platform,
            "of": output.label(name),
            "plot": plot([number_of(part) if part else None for part in parts]),
            "number": f"{number_of(known):g}" if known else None,
            "meaning": meaning if known else None,
        }


def _known(values: Values) -> list[float]:
    return [value for value in values if value is not None]


def plot(values: Values) -> str:
    """A bar for each value, from 0 to the highest; a space where there is none."""
    highest = max(_known(values), default=0) or 1
    return "".join(
        " " if value is None else _BARS[round(value / highest * (len(_BARS) - 1))]
        for value in values
    )
