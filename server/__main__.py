"""Finlink's command line: `python -m server --help`."""

from __future__ import annotations

import os
import secrets
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from server import config, settings
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

LEFT_SECONDS = 5.0


def _settings(**given: object) -> config.Settings:
    """The environment's settings, what was given on the command line before all."""
    try:
        return settings.load(**given)
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
def edge(
    servers: Annotated[list[str], typer.Argument(help="Where `serve` listens: HOST:PORT …")],
) -> None:
    """Run Envoy alone, before servers on other hosts; SERVER_TLS_* secure the way to them."""
    from server.supervisor.edge import edge as run_edge  # noqa: PLC0415 - workers never need it

    # It seals nothing, so it needs no key of the deployment, which production asks everybody for.
    run_edge(_settings(encryption_key=secrets.token_hex(32)), servers)


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


@app.command()
def health(
    address: Annotated[str, typer.Argument(help="Where `serve` listens: HOST:PORT.")],
) -> None:
    """Tell by the exit code whether a server is SERVING: for container engines.

    SERVER_TLS_* are the server's own.
    """
    from server.commands.health import health as ask  # noqa: PLC0415 - the others never need it

    if (reason := ask(_settings(), address)) is not None:
        raise SystemExit(f"finlink: {reason}")


@app.command()
def rotate_keys(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; tell what still needs which key.")
    ] = False,
    rate: Annotated[
        int,
        typer.Option(min=1, help="Keys re-wrapped a second, at most; fewer spare the database."),
    ] = 2_000,
) -> None:
    """Wrap what is encrypted with the first of ENCRYPTION_KEYS, so that the others can be removed.

    The servers go on meanwhile. Stopped, it goes on where it was when it is run again. It works on
    MONGODB_URI, else on the database of the `run` that is up. The exit code is 0 when nothing needs
    another key than the first. docs/operations.md tells the whole procedure.
    """
    from server.commands.rotate_keys import rotate_keys as rotate  # noqa: PLC0415 - the others never need it

    try:
        sys.exit(rotate(_settings(), check=check, rate=rate))
    except KeyboardInterrupt:
        raise SystemExit("finlink: stopped; run it again to go on") from None


@app.command("verify-audit")
def verify_audit(
    known: Annotated[
        str | None,
        typer.Option(help="The head an earlier run told, SEQUENCE:LINK; finds a trail set back."),
    ] = None,
) -> None:
    """Tell whether anything of the audit trail was changed, removed, put in or cut off.

    It works on MONGODB_URI, else on the database of the `run` that is up. The exit code is 0 where
    nothing was.
    """
    from server.commands.verify_audit import verify_audit as verify  # noqa: PLC0415 - as above

    sys.exit(verify(known))


@app.command()
def prepare() -> None:
    """Make the indexes of this version, ahead of its first server, which would make them at its start.

    It works on MONGODB_URI, else on the database of the `run` that is up. Where all are there it
    changes nothing.
    """
    from server.commands.prepare import prepare as make  # noqa: PLC0415 - as above

    make()


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where to; `-` is the output.")],
    without: Annotated[
        list[str] | None,
        typer.Option(help="A collection to leave out, as data_keys for what is kept long."),
    ] = None,
) -> None:
    """Write all that the database holds at one moment to a file, while Finlink serves.

    It works on MONGODB_URI, else on the database of the `run` that is up. docs/operations.md tells
    what else belongs to a backup.
    """
    from server.commands.backup import backup as write  # noqa: PLC0415 - as above

    write(file, without or ())


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `backup` has written.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove first what the database holds.")
    ] = False,
) -> None:
    """Fill an empty database from a file; servers and workers must be stopped.

    It works on MONGODB_URI, else on the database of the `run` that is up.
    """
    from server.commands.backup import restore as fill  # noqa: PLC0415 - as above

    fill(file, replace=replace)


def _run_worker(listen: str | None, process: str, *, syncs: bool) -> None:
    import uvloop  # noqa: PLC0415

    from server import app as application  # noqa: PLC0415 - the other commands start faster

    settings = _settings()
    if settings.mongodb_uri is None:
        raise SystemExit(
            "finlink: MONGODB_URI must be set; `python -m server run` brings its own MongoDB"
        )
    setup_logging(settings.log_level, process=process)

    async def serve() -> None:
        try:
            await application.serve(settings, listen, syncs=syncs)
        finally:
            # All is done by now. What the libraries leave may wait for ever, as on a MongoDB that died.
            end = threading.Timer(LEFT_SECONDS, os._exit, [1])
            end.daemon = True
            end.start()

    try:
        uvloop.run(serve())
    except config.ConfigError as error:
        raise SystemExit(f"finlink: {error}") from None


if __name__ == "__main__":
    app(prog_name="python -m server")
