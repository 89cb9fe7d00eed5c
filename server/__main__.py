"""Finlink's command line: `python -m server --help`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from server import config
from server.commands.keys import keys
from server.observability.logging import setup_logging

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Finlink: users and their connections to financial platforms, over gRPC and REST.",
    epilog="Settings come from the environment; the README has the table of them.",
)


app.add_typer(keys)


def _settings(**given: object) -> config.Settings:
    """The environment's settings, what was given on the command line before all."""
    try:
        return config.load(**given)
    except config.ConfigError as error:
        raise SystemExit(f"finlink: {error}") from None


@app.command()
def run(
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, max=128, help="Server processes. Default: WORKERS, else one for each core."
        ),
    ] = None,
) -> None:
    """Start all of Finlink: MongoDB where none is given, the sandbox, the workers and Envoy."""
    from server.supervisor.run import run as supervise  # noqa: PLC0415 - workers never need it

    sys.exit(supervise(_settings(**({} if workers is None else {"workers": workers}))))


@app.command()
def serve(
    listen: Annotated[
        str, typer.Option(help="Where to listen: unix:PATH, or HOST:PORT.")
    ] = "127.0.0.1:50061",
    syncs: Annotated[
        bool,
        typer.Option(help="Also run the sync engine; without it, `worker` must run elsewhere."),
    ] = True,
) -> None:
    """Run one server process on an existing MongoDB (MONGODB_URI): gRPC, and the sync engine."""
    _run_worker(listen, listen.rpartition("/")[2].removesuffix(".sock"), syncs=syncs)


@app.command()
def worker() -> None:
    """Run the sync engine alone on an existing MongoDB (MONGODB_URI)."""
    _run_worker(None, "worker", syncs=True)


def _run_worker(listen: str | None, process: str, *, syncs: bool) -> None:
    import uvloop  # noqa: PLC0415

    from server import app as application  # noqa: PLC0415 - the other commands start faster

    settings = _settings()
    if settings.mongodb_uri is None:
        raise SystemExit(
            "finlink: MONGODB_URI must be set; `python -m server run` brings its own MongoDB"
        )
    setup_logging(settings.log_level, process=process)
    try:
        uvloop.run(application.serve(settings, listen, syncs=syncs))
    except config.ConfigError as error:
        raise SystemExit(f"finlink: {error}") from None


if __name__ == "__main__":
    app(prog_name="python -m server")
