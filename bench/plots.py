"""The results as small SVG files that come out the same for the same results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from bench.table import middle

_OURS, _CEILING, _THEIRS = "#0b6e4f", "#9aa5b1", "#c0562f"
_STYLE = {
    "svg.hashsalt": "finlink",  # ids that do not change
    "svg.fonttype": "none",  # text as text: a fraction of the size
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e7eb",
    "figure.constrained_layout.use": True,
}
Results = Mapping[str, Any]


def throughput(results: Results, path: Path) -> None:
    """Replies a second by case: a bar for the median, a line over all turns."""
    cases = results["cases"]
    rows = [len(case["slices"]) for case in cases]
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(
            len(cases), 1, figsize=(7.5, 0.5 + sum(0.34 * n + 0.6 for n in rows)),
            height_ratios=[n + 1 for n in rows], squeeze=False,
        )  # fmt: skip
        for axis, case in zip(axes[:, 0], cases, strict=True):
            names = list(case["slices"])[::-1]
            rates = [[turn["rate"] for turn in case["slices"][name]] for name in names]
            middles = [middle(each) for each in rates]
            low = [each - min(turns) for each, turns in zip(middles, rates, strict=True)]
            high = [max(turns) - each for each, turns in zip(middles, rates, strict=True)]
            axis.barh(names, middles, xerr=[low, high], color=[_color(name) for name in names])
            axis.set_title(case["title"], loc="left", fontsize="medium")
            axis.grid(visible=False, axis="y")
        axes[-1, 0].set_xlabel("replies a second")
        _save(figure, path)


def latency(results: Results, path: Path) -> None:
    """The distribution of latency with a hot set, medians over the turns."""
    case = next((case for case in results["cases"] if case["case"] == "hot-user"), None)
    if case is None:
        return
    with plt.rc_context(_STYLE):
        figure, axis = plt.subplots(figsize=(7.5, 4))
        for name, turns in case["slices"].items():
            shares = list(turns[0]["latency_ms"])
            values = [middle([turn["latency_ms"][share] for turn in turns]) for share in shares]
            style = "--" if name.endswith("-2") else "-"
            axis.plot(shares, values, style, marker=".", label=name, color=_color(name))
        axis.set_yscale("log")
        axis.set_xlabel("per cent of the replies")
        axis.set_ylabel("come within so many milliseconds")
        axis.set_title(case["title"], loc="left", fontsize="medium")
        axis.legend(frameon=False)
        _save(figure, path)


def growth(results: Results, path: Path) -> None:
    """Milliseconds of a call by the number of users and connectors."""
    sizes = list(results["times_ms"])
    names = {name: None for times in results["times_ms"].values() for name in times}
    with plt.rc_context(_STYLE):
        figure, axis = plt.subplots(figsize=(7.5, 4))
        for name in names:
            points = [
                (int(size), middle(done))
                for size in sizes
                if (done := [t for t in results["times_ms"][size].get(name, ()) if t is not None])
            ]
            if points:
                axis.plot(*zip(*points, strict=True), marker="o", label=name)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("users, and as many connectors")
        axis.set_ylabel("milliseconds of one call")
        axis.legend(frameon=False)
        _save(figure, path)


def memory(results: Results, path: Path) -> None:
    """Resident memory of each worker under full load."""
    samples: Sequence[Results] = results["memory"]
    if not samples:
        return
    with plt.rc_context(_STYLE):
        figure, axis = plt.subplots(figsize=(7.5, 3.2))
        minutes = [sample["seconds"] / 60 for sample in samples]
        for worker in range(len(samples[0]["rss_mb"])):
            sizes = [sample["rss_mb"][worker] for sample in samples]
            axis.plot(minutes, sizes, label=f"worker {worker}")
        axis.set_ylim(bottom=0)
        axis.set_xlabel("minutes of full load")
        axis.set_ylabel("MB (RSS)")
        axis.legend(frameon=False)
        _save(figure, path)


def _color(name: str) -> str:
    if name == "finlink":
        return _OURS
    if name == "noop":
        return _CEILING
    return {"express": _THEIRS, "fastapi": "#d98f4e"}.get(name.partition("-")[0], "#3d5a80")


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
