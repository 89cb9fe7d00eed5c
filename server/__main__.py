"""Finlink's command line: `python -m server --help`."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from server import config, settings
from server.commands.keys import keys
from server.commands.streams import with_usable_streams
from server.commands.users import users
from server.config import Settings
from server.edge.settings import EdgeSettings
from server.observability.logging import setup_logging
from server.setting_types import host_and_port

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Finlink: users and their connections to financial platforms, over gRPC and REST.",
    epilog="Settings come from the environment; docs/configuration.md lists them.",
)

app.add_typer(keys)
app.add_typer(users)

LEFT_SECONDS = 5.0
INDEX_SECONDS = 24 * 3600.0  # for one index, made before the servers start


def _settings(load: Callable[..., Settings] = settings.load, **given: object) -> Settings:
    """The settings, in which options of the command line win."""
    try:
        return load(**given)
    except config.ConfigError as error:
        raise SystemExit(f"finlink: {error}") from None


@app.command()
def run(
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=128, help="Server processes. Default: WORKERS, else one a core."),
    ] = None,
) -> None:
    """Start all of Finlink: MongoDB unless one is set, the sandbox, the workers and Envoy."""
    from server.supervisor.run import run as supervise  # noqa: PLC0415 - workers do not need it

    given: dict[str, Any] = {} if workers is None else {"workers": workers}
    sys.exit(supervise(_settings(**given)))


@app.command()
def edge(
    servers: Annotated[list[str], typer.Argument(help="Where `serve` listens: HOST:PORT …")],
) -> None:
    """Run Envoy alone, for servers on other hosts; SERVER_TLS_* secure the connections to them."""
    from server.supervisor.edge import edge as run_edge  # noqa: PLC0415 - workers do not need it

    run_edge(_settings(partial(config.load, EdgeSettings)), servers)


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
    if not listen.startswith("unix:/"):
        try:
            host_and_port(listen)
        except ValueError:
            raise SystemExit(
                f"finlink: --listen must be unix:/PATH, or HOST:PORT as 127.0.0.1:50061, not {listen}"
            ) from None
    _run_worker(listen, listen.rpartition("/")[2].removesuffix(".sock"), syncs=syncs)


@app.command()
def worker() -> None:
    """Run the sync engine alone on an existing MongoDB (MONGODB_URI)."""
    _run_worker(None, "worker", syncs=True)


@app.command()
def health(
    address: Annotated[str, typer.Argument(help="Where `serve` listens: HOST:PORT.")],
) -> None:
    """Exit with 0 if a server is SERVING: for container engines.

    SERVER_TLS_* are the server's own.
    """
    from server.commands.health import health as ask  # noqa: PLC0415 - other commands do not need it

    try:
        reason = ask(_settings(config.load), address)
    except config.ConfigError as error:
        reason = str(error)
    if reason is not None:
        raise SystemExit(f"finlink: {reason}")


@app.command()
def rotate_keys(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; report which keys are still needed.")
    ] = False,
    rate: Annotated[
        int,
        typer.Option(
            min=1, help="Keys re-wrapped a second, at most; a lower rate spares the database."
        ),
    ] = 2_000,
) -> None:
    """Re-wrap all data keys with the first of ENCRYPTION_KEYS, so that the others can be removed.

    Servers may run meanwhile. If it is stopped, the next run continues where it was. It works on
    MONGODB_URI, else on the database of the running `run`. The exit code is 0 if only the first key is
    needed. docs/operations.md describes the whole procedure.
    """
    from server.commands.rotate_keys import rotate_keys as rotate  # noqa: PLC0415 - other commands do not need it

    try:
        sys.exit(rotate(check=check, rate=rate))
    except KeyboardInterrupt:
        raise SystemExit("finlink: stopped; run it again to continue") from None


@app.command()
def rotate_signing_key(
    now: Annotated[
        bool,
        typer.Option(
            "--now",
            help="Sign with the new key at once and drop all others: access tokens expire, sessions go on.",
        ),
    ] = False,
) -> None:
    """Make the next key for access tokens; it is published an hour before it signs.

    Servers do this by themselves every SIGNING_KEY_DAYS. It works on MONGODB_URI, else on the database of
    the running `run`. Use --now if a key may be known to others.
    """
    from server.commands.rotate_signing_key import rotate_signing_key as rotate  # noqa: PLC0415 - as above

    rotate(now=now)


@app.command("verify-audit")
def verify_audit(
    known: Annotated[
        str | None,
        typer.Option(
            help="The head printed by an earlier run, SEQUENCE:LINK; detects a reset trail."
        ),
    ] = None,
) -> None:
    """Check whether events of the audit trail were changed, removed, inserted or cut off.

    It works on MONGODB_URI, else on the database of the running `run`. The exit code is 0 if none were.
    """
    from server.commands.verify_audit import verify_audit as verify  # noqa: PLC0415 - as above

    sys.exit(verify(known))


@app.command()
def prepare() -> None:
    """Create the indexes of this version before its first server, which would create them at its start.

    It works on MONGODB_URI, else on the database of the running `run`. If all exist, it changes nothing.
    """
    from server.commands.database import on_database  # noqa: PLC0415 - as above
    from server.startup import prepare as make  # noqa: PLC0415

    on_database(partial(make, index_seconds=INDEX_SECONDS))
    print("All indexes of this version exist.")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; `-` is stdout.")],
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="A collection to leave out, such as data_keys in backups that are kept long."
        ),
    ] = None,
) -> None:
    """Write a snapshot of the whole database to a file, while Finlink runs.

    It works on MONGODB_URI, else on the database of the running `run`. docs/operations.md lists what else
    belongs in a backup.
    """
    from server.commands.backup import backup as write  # noqa: PLC0415 - as above

    write(file, without or ())


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `backup` has written.")],
    replace: Annotated[bool, typer.Option("--replace", help="Empty the database first.")] = False,
) -> None:
    """Fill an empty database from a file; servers and workers must be stopped.

    It works on MONGODB_URI, else on the database of the running `run`.
    """
    from server.commands.backup import restore as fill  # noqa: PLC0415 - as above

    fill(file, replace=replace)


def _run_worker(listen: str | None, process: str, *, syncs: bool) -> None:
    import uvloop  # noqa: PLC0415

    from server import app as application  # noqa: PLC0415 - other commands start faster

    settings = _settings()
    if settings.mongodb_uri is None:
        raise SystemExit(
            "finlink: MONGODB_URI must be set; `python -m server run` starts its own MongoDB"
        )
    setup_logging(settings.log_level, process=process)

    async def serve() -> None:
        try:
            await application.serve(settings, listen, syncs=syncs)
        finally:
            # The work is done, but threads of libraries may wait for ever.
            application.end_at_last(LEFT_SECONDS)

    try:
        uvloop.run(serve())
    except config.ConfigError as error:
        raise SystemExit(f"finlink: {error}") from None


if __name__ == "__main__":
    with_usable_streams(partial(app, prog_name="python -m server"))
