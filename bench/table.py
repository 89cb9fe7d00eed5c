"""The results as tables for people; programs get the results' JSON instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table


def verdict(row: Mapping[str, Any]) -> str:
    """`aim`, `reached`, `not reached` or `failed`; a row with `less` is better the smaller it is.

    Empty where nothing is asked for.
    """
    if row["median"] is None:
        return "failed"
    if row["at_least"] is None:
        return ""
    value, sign = row["median"], -1 if row.get("less") else 1
    if sign * value >= sign * row["aim"]:
        return "aim"
    return "reached" if sign * value >= sign * row["at_least"] else "not reached"


def rows_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="What it must show", title_justify="left")
    table.add_column("measure")
    for name in ("measured", "turns", "at least", "aim"):
        table.add_column(name, justify="right")
    table.add_column("")
    styles = {"": "none", "aim": "green", "reached": "cyan", "not reached": "red", "failed": "red"}
    for row in rows:
        word = verdict(row)
        table.add_row(*cells_of(row), f"[{styles[word]}]{word}[/]")
    return table


def cells_of(row: Mapping[str, Any]) -> list[str]:
    """The figures of a row, without its verdict."""
    unit, most = row.get("unit", ""), "≤ " if row.get("less") else ""
    bounds = [
        "" if bound is None else f"{most}{bound:g}{unit}" for bound in (row["at_least"], row["aim"])
    ]
    if row["median"] is None:
        return [row["row"], "–", "–", *bounds]
    spread = f"{row['low']:.2f}–{row['high']:.2f}"
    return [row["row"], f"{row['median']:.2f}{unit}", spread, *bounds]


def figures_table(case: Mapping[str, Any]) -> Table:
    """Medians over the turns, for each entrant. They mean little on their own: machines differ.

    Microseconds of the processor are per reply, of all the contestant's processes.
    """
    table = Table(title=case["title"], title_justify="left")
    table.add_column("")
    for name in (
        "replies/s",
        "p50 ms",
        "p99 ms",
        "CPU µs",
        "mongod µs",
        "failed",
        "writes",
        "stale",
    ):
        table.add_column(name, justify="right")
    for figures in figures_of(case):
        table.add_row(
            figures["name"],
            f"{figures['rate']:,.0f}",
            f"{figures['p50']:.1f}",
            f"{figures['p99']:.1f}",
            f"{figures['cpu_us']:,.0f}",
            f"{figures['mongod_us']:,.0f}",
            str(figures["failed"]),
            str(figures["writes"]),
            str(figures["stale"]),
        )
    return table


def growth_table(results: Mapping[str, Any]) -> Table:
    """Medians by size."""
    sizes = list(results["times_ms"])
    table = Table(title="As it grows: milliseconds, and syncs a second", title_justify="left")
    table.add_column("")
    for size in sizes:
        table.add_column(f"{int(size):,}", justify="right")
    for name in {name: None for times in results["times_ms"].values() for name in times}:
        times = [results["times_ms"][size].get(name) for size in sizes]
        table.add_row(name, *map(milliseconds, times))
    for case, found in results["syncs"].items():
        for name, key in (("syncs/s", "rate"), ("syncs/s of processor time", "per_cpu_second")):
            runs = [found.get(size) for size in sizes]
            rates = (f"{middle([r[key] for r in each]):.0f}" if each else "" for each in runs)
            table.add_row(f"{name}, {case}", *rates)
    return table


def milliseconds(turns: Sequence[float | None] | None) -> str:
    """The median of the turns that did not fail."""
    done = [turn for turn in turns or () if turn is not None]
    return f"{middle(done):.2f}" if done else "failed"


def figures_of(case: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, turns in case["slices"].items():
        found.append(
            {
                "name": name,
                "rate": middle([turn["rate"] for turn in turns]),
                "p50": middle([turn["latency_ms"]["50"] for turn in turns]),
                "p99": middle([turn["latency_ms"]["99"] for turn in turns]),
                "cpu_us": middle([turn["cpu_us"] for turn in turns]),
                "mongod_us": middle([turn["mongod_us"] for turn in turns]),
                **{key: sum(turn[key] for turn in turns) for key in ("failed", "writes", "stale")},
            }
        )
    return found


def middle(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
