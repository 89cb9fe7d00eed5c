"""How a function becomes a command: with the options that all have, and its failures told."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Concatenate, ParamSpec, TypeAlias, cast

import typer

from finlink_cli import output, settings
from finlink_cli.cli import Cli
from finlink_cli.failures import Exit, Failure, of_call, wrong_usage

P = ParamSpec("P")
_Command: TypeAlias = Callable[Concatenate[Cli, P], None]

_PANEL = "Options of all commands"


def _common(
    *,
    as_json: Annotated[
        bool | None,
        typer.Option(
            "--json", help="Say JSON, one object a line, with REST's names.", rich_help_panel=_PANEL
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Finlink's gRPC; or FINLINK_ADDRESS. Default: localhost:50051.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="`-` asks for it. Whoever lists processes sees what is given here: rather put it "
            "into FINLINK_API_KEY or the configuration file.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    tls: Annotated[
        bool | None,
        typer.Option(
            "--tls/--plain", help="Whether to use TLS; or FINLINK_TLS.", rich_help_panel=_PANEL
        ),
    ] = None,
    ca: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="PEM of whom to trust; or FINLINK_CA.", rich_help_panel=_PANEL
        ),
    ] = None,
    client_cert: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="PEM to show; or FINLINK_CLIENT_CERT.", rich_help_panel=_PANEL
        ),
    ] = None,
    client_key: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Its key; or FINLINK_CLIENT_KEY.", rich_help_panel=_PANEL
        ),
    ] = None,
) -> None:
    """The options of all commands; only their declaration is used."""


_COMMON = list(inspect.signature(_common, eval_str=True).parameters.values())
_CONTEXT = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)


def takes_common_options(app: typer.Typer) -> None:
    """Let the options of all commands stand before the command, too."""

    def remember(context: typer.Context, **given: Any) -> None:
        context.obj = given

    _set_parameters(remember, [])
    app.callback()(remember)


def command(
    group: typer.Typer, name: str | None = None, *, example: str
) -> Callable[[_Command[P]], _Command[P]]:
    """Add a command to `group`: its first parameter is the Cli, the others are options and arguments."""

    def add(function: _Command[P]) -> _Command[P]:
        def run(context: typer.Context, **values: Any) -> None:
            given = {each.name: values.pop(each.name) for each in _COMMON}
            given.update(
                {name: value for name, value in context.obj.items() if given[name] is None}
            )
            as_json = bool(given.pop("as_json"))
            with _failures_told(as_json=as_json):
                cli = Cli(settings.load(_with_key_asked_for(given)), as_json=as_json)
                try:
                    _call(function, cli, values)
                finally:
                    cli.close()

        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        _set_parameters(run, own)
        group.command(
            name or function.__name__, help=function.__doc__, epilog=f"Example: {example}"
        )(run)
        return function

    return add


def _set_parameters(function: Callable[..., None], own: list[inspect.Parameter]) -> None:
    """What Typer is to read from the command line for a function that takes whatever it is given."""
    keywords = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
    signature = inspect.Signature([_CONTEXT, *keywords, *_COMMON])
    cast("Any", function).__signature__ = signature


def _call(function: Callable[..., None], cli: Cli, values: dict[str, Any]) -> None:
    """Run a command; a call that fails becomes a Failure."""
    try:
        function(cli, **values)
    except Exception as error:
        # Nothing was called where the client was not even imported.
        client = sys.modules.get("finlink_client")
        if client is not None and isinstance(error, client.FinlinkError):
            raise of_call(error, cli.settings.address) from error
        raise


def _with_key_asked_for(given: dict[str, Any]) -> dict[str, Any]:
    if given["api_key"] != "-":
        return given
    if not sys.stdin.isatty():
        raise wrong_usage("--api-key - needs a terminal", "Put the key into FINLINK_API_KEY.")
    return {**given, "api_key": typer.prompt("API key", hide_input=True, err=True)}


@contextmanager
def _failures_told(*, as_json: bool) -> Iterator[None]:
    """Say what went wrong and end with its exit code."""
    try:
        yield
        sys.stdout.flush()
    except Failure as failure:
        tell(failure, as_json=as_json)
        raise typer.Exit(failure.exit_code) from None
    except BrokenPipeError:
        # Nobody reads on, as after `| head`. What is left to write at the end goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(Exit.PIPE_CLOSED) from None


def tell(failure: Failure, *, as_json: bool) -> None:
    """Say to stderr what went wrong."""
    if as_json:
        output.print_json(failure.as_json(), stderr=True)
    else:
        output.screen(stderr=True).print(output.safe(str(failure)), style="red", soft_wrap=True)
