"""`bench report`: docs/benchmarks, written from the results of the last full runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import capacity, plots
from bench.folders import DOCS, RESULTS
from bench.table import cells_of, figures_of, milliseconds, verdict

Results = Mapping[str, Any]
_COMMANDS = {
    "run": "make bench",
    "growth": "make bench-growth",
    "soak": "make bench-soak",
    "overhead": "make bench-overhead",
}
_PLOTS: dict[str, list[tuple[str, str, Callable[[Results, Path], None]]]] = {
    "run": [
        ("throughput.svg", "Replies a second", plots.throughput),
        ("latency.svg", "Latency of a hot GET user", plots.latency),
    ],
    "growth": [("growth.svg", "Milliseconds of a call as it grows", plots.growth)],
    "soak": [("memory.svg", "Memory of a worker under full load", plots.memory)],
    "overhead": [],
}


def results_file(name: str) -> Path:
    """Of `run`, `growth`, `soak` or `overhead`."""
    return RESULTS / f"{name}.json"


def write() -> Path:
    """Draw the plots, write the page and what follows from it; what was never measured is left out."""
    found = {
        name: json.loads(results_file(name).read_text())
        for name in _COMMANDS
        if results_file(name).exists()
    }
    for name, results in found.items():
        for file, _, draw in _PLOTS[name]:
            draw(results, DOCS / file)
    DOCS.mkdir(parents=True, exist_ok=True)
    page = DOCS / "README.md"
    page.write_text("\n".join(_page(found)) + "\n")
    capacity.write()
    return page


def _page(found: Mapping[str, Results]) -> Iterable[str]:
    yield "# Benchmarks"
    yield ""
    yield f"Written by {', '.join(f'`{command}`' for command in _COMMANDS.values())} from what they measured."
    yield "How it is measured, and with which settings: [method.md](method.md)."
    yield "Ratios compare contestants within one run; figures by themselves are this machine's."
    for name, results in found.items():
        yield from ("", f"## `{_COMMANDS[name]}`", "")
        yield f"Measured on {_machine(results)}."
        if results.get("others_percent", 0) > 10:
            yield f"**Other programs kept {results['others_percent']:.0f} % of the machine busy.**"
        yield ""
        yield from _rows(results["rows"])
        if name in {"run", "overhead"}:
            yield from _cases(results)
        if name == "growth":
            yield from _growth(results)
        for file, title, _ in _PLOTS[name]:
            if (DOCS / file).exists():
                yield from ("", f"![{title}]({file})")
        yield from _memory(results["memory_mb"])


def _machine(results: Results) -> str:
    machine = results["machine"]
    programs = [f"{name} {machine[name]}" for name in ("python", "node", "go") if name in machine]
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory']}, "
        f"Linux {machine['kernel']}; {', '.join(programs)}"
    )


def _rows(rows: Sequence[Results]) -> Iterable[str]:
    yield "| measure | measured | lowest to highest | at least | aim | |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        yield f"| {' | '.join(cells_of(row))} | {verdict(row)} |"


def _cases(results: Results) -> Iterable[str]:
    for case in results["cases"]:
        yield from ("", f"{case['title']}:", "")
        yield "| | replies/s | p50 ms | p99 ms | CPU µs | mongod µs | failed | writes | stale |"
        yield "|---|---|---|---|---|---|---|---|---|"
        for row in figures_of(case):
            label = results["labels"].get(row["name"], row["name"])
            yield (
                f"| {label} | {row['rate']:,.0f} | {row['p50']:.1f} | {row['p99']:.1f} "
                f"| {row['cpu_us']:,.0f} | {row['mongod_us']:,.0f} "
                f"| {row['failed']} | {row['writes']} | {row['stale']} |"
            )


def _growth(results: Results) -> Iterable[str]:
    sizes = list(results["times_ms"])
    yield from ("", "Milliseconds by the number of users, and as many connectors:", "")
    yield "| | " + " | ".join(f"{int(size):,}" for size in sizes) + " |"
    yield "|---" * (len(sizes) + 1) + "|"
    for name in {name: None for times in results["times_ms"].values() for name in times}:
        times = [results["times_ms"][size].get(name) for size in sizes]
        yield f"| {name} | " + " | ".join(map(milliseconds, times)) + " |"


def _memory(memory: Mapping[str, Sequence[float]]) -> Iterable[str]:
    told = [
        f"{name} {', '.join(f'{size:.0f}' for size in sizes)}"
        for name, sizes in memory.items()
        if sizes
    ]
    yield from ("", f"Memory of each serving process at the end (PSS, MB): {'; '.join(told)}.")
