"""The benchmark's command line: `python -m bench --help`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench import capacity, cases, comparison, data, growth, overhead, session, soak
from bench.identity import run as identity
from bench.table import figures_table, growth_table, rows_table

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Finlink measured against the stacks a user would pick instead.",
)


@app.callback()
def main() -> None:
    """Finlink measured against the stacks a user would pick instead."""


@app.command()
def run(
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"One case, may be repeated: {', '.join(c.name for c in cases.CASES)}."),
    ] = None,
    entrants: Annotated[
        list[str] | None,
        typer.Option("--with", help="Only these beside Finlink: noop, express-1, fastapi-2, …"),
    ] = None,
    turns: Annotated[int, typer.Option(min=1, help="Of each contestant in each case.")] = 5,
    seconds: Annotated[int, typer.Option(min=1, help="Of a turn.")] = 3,
    users: Annotated[int, typer.Option(min=1_000, help="In the database.")] = data.FULL,
    out: Annotated[Path | None, typer.Option(help="Where to write the results as JSON.")] = None,
) -> None:
    """Measure in turns; print the ratios, as JSON where the output is no terminal."""
    try:
        chosen = cases.named(only or [])
    except ValueError as error:
        raise SystemExit(f"bench: {error}") from None
    plan = comparison.Plan(chosen, set(entrants or ()), turns, seconds, users)
    found = comparison.run(plan, Console(stderr=True))
    _show(found, [figures_table(case) for case in found["cases"]], out)


@app.command()
def load(
    users: Annotated[list[int] | None, typer.Option(help="How many; may be repeated.")] = None,
) -> None:
    """Fill databases ahead, so that runs begin at once."""
    console = Console(stderr=True)

    async def work() -> None:
        async with session.running(console) as up:
            for count in users or [data.FULL]:
                await up.fill(count)

    session.run(work)


@app.command("growth")
def grow(
    turns: Annotated[int, typer.Option(min=1, help="Of each size.")] = 5,
    seconds: Annotated[int, typer.Option(min=1, help="Of a turn of syncs.")] = 5,
    sizes: Annotated[
        list[int] | None, typer.Option("--size", help="Users; may be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write the results as JSON.")] = None,
) -> None:
    """Measure the same calls over 10^3 to 10^6 users and connectors."""
    found = growth.run(sizes or growth.SIZES, turns, float(seconds), Console(stderr=True))
    _show(found, [growth_table(found)], out)


@app.command("soak")
def endure(
    minutes: Annotated[float, typer.Option(min=0.2, help="Of full load.")] = 10,
    mixed_seconds: Annotated[int, typer.Option(min=1, help="Of mixed load at each rate.")] = 60,
    users: Annotated[int, typer.Option(min=1_000, help="In the database.")] = data.FULL,
    out: Annotated[Path | None, typer.Option(help="Where to write the results as JSON.")] = None,
) -> None:
    """Mixed load against the response times asked for; full load and what it takes of memory."""
    _show(soak.run(users, minutes, mixed_seconds, Console(stderr=True)), [], out)


@app.command("overhead")
def see_cost(
    turns: Annotated[int, typer.Option(min=1, help="Of each way.")] = 5,
    seconds: Annotated[int, typer.Option(min=1, help="Of a turn.")] = 3,
    users: Annotated[int, typer.Option(min=1_000, help="In the database.")] = data.FULL,
    out: Annotated[Path | None, typer.Option(help="Where to write the results as JSON.")] = None,
) -> None:
    """Measure what logs, metrics and traces cost."""
    found = overhead.run(users, turns, float(seconds), Console(stderr=True))
    _show(found, [figures_table(case) for case in found["cases"]], out)


@app.command("identity")
def measure_identity(
    turns: Annotated[int, typer.Option(min=1, help="Of each contestant.")] = 5,
    seconds: Annotated[int, typer.Option(min=1, help="Of a turn.")] = 4,
    users: Annotated[int, typer.Option(min=1_000, help="In the database.")] = data.FULL,
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"One section, may be repeated: {', '.join(identity.SECTIONS)}."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write the results as JSON.")] = None,
) -> None:
    """Measure signing in, refreshing and calls with tokens, and what they cost others."""
    unknown = set(only or ()) - set(identity.SECTIONS)
    if unknown:
        known = ", ".join(identity.SECTIONS)
        raise SystemExit(f"bench: no section {', '.join(sorted(unknown))}; there are {known}")
    found = identity.run(users, turns, float(seconds), only or (), Console(stderr=True))
    _show(found, [], out)


@app.command("report")
def write_report() -> None:
    """Draw the plots and write docs/benchmarks from the results of the last full runs."""
    from bench import report  # noqa: PLC0415 - measuring needs no plots

    print(f"wrote {report.write()}")


@app.command("capacity")
def write_capacity() -> None:
    """Write the capacity table of docs/operations.md from docs/benchmarks as they are."""
    print(f"wrote {capacity.write()}")


def _show(results: dict[str, Any], tables: list[Table], out: Path | None) -> None:
    """JSON where the output is no terminal; tables in any case."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(results, indent=1) + "\n")
    console = Console()
    if not console.is_terminal:
        print(json.dumps(results, indent=1))
        console = Console(stderr=True, width=120)
    for table in [*tables, rows_table(results["rows"])]:
        console.print(table)
    for name, sizes in results["memory_mb"].items():
        console.print(f"memory of {name}: {', '.join(f'{size:.0f} MB' for size in sizes)} (PSS)")


if __name__ == "__main__":
    app(prog_name="python -m bench")
