"""Makes functions commands: with the options of all commands, and failures reported."""

from __future__ import annotations

import copy
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any, TypeAlias, cast, get_args

import typer
from typer.main import get_command

from finlink_cli import contract, formats, output, parameters, requests, rpcs, settings, streams
from finlink_cli.cli import Cli
from finlink_cli.contract import Rpc
from finlink_cli.failures import LOGIN_NEEDED, Exit, Failure, of_call, wrong_usage

Command: TypeAlias = Any  # Typer has no name for what it makes

# Makers of the commands written by hand, by path, as `users export`.
BY_HAND: dict[str, Callable[[], Command]] = {}


class Form(StrEnum):
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


def _common(
    *,
    as_json: Annotated[
        bool | None, typer.Option("--json", help="Say JSON, one object a line, with REST's names.")
    ] = None,
    form: Annotated[
        Form | None, typer.Option("-o", "--format", help="`wide` hides no column of a table.")
    ] = None,
    jq: Annotated[
        str | None, typer.Option("--jq", metavar="FILTER", help="Filter the JSON with jq.")
    ] = None,
    wide: Annotated[bool | None, typer.Option("--wide", help="The same as -o wide.")] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Finlink's gRPC; or FINLINK_ADDRESS. Default: localhost:50051.",
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="`-` asks for it. Anybody who lists processes sees a key given here: rather put it "
            "into FINLINK_API_KEY or the configuration file.",
        ),
    ] = None,
    access_token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            help="Of a user who has signed in; or FINLINK_ACCESS_TOKEN. `-` asks for it.",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Whose session of 'finlink login' to use; or FINLINK_PROFILE. Default: default.",
        ),
    ] = None,
    tls: Annotated[
        bool | None, typer.Option("--tls/--plain", help="Whether to use TLS; or FINLINK_TLS.")
    ] = None,
    ca: Annotated[
        str | None, typer.Option(metavar="FILE", help="PEM of whom to trust; or FINLINK_CA.")
    ] = None,
    client_cert: Annotated[
        str | None, typer.Option(metavar="FILE", help="PEM to show; or FINLINK_CLIENT_CERT.")
    ] = None,
    client_key: Annotated[
        str | None, typer.Option(metavar="FILE", help="Its key; or FINLINK_CLIENT_KEY.")
    ] = None,
) -> None:
    """The options of all commands; only the declaration is used. `finlink --help` alone shows them."""


_COMMON = list(inspect.signature(_common, eval_str=True).parameters.values())
_SEE_COMMON = (
    "All commands take -o, --json, --jq, --wide, --address, --api-key and more: finlink --help"
)
_CONTEXT = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)


def takes_common_options(app: typer.Typer) -> None:
    """Let the options of all commands stand before the command, too."""

    def remember(context: typer.Context, **given: Any) -> None:
        context.obj = given

    _set_parameters(remember, [])
    app.callback()(remember)


def command(
    path: str, *, example: str, rpc: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function the command `path`. It takes the Cli, then arguments and options.

    With `rpc`, the command also has the arguments and options of that RPC, and the function takes the request
    built from them second.
    """

    def add(function: Callable[..., None]) -> Callable[..., None]:
        def made() -> Command:
            run = with_request(function, contract.by_hand(rpc)) if rpc else function
            return build(run, path.rsplit(maxsplit=1)[-1], inspect.getdoc(function) or "", example)

        BY_HAND[path] = made
        return function

    return add


def with_request(function: Callable[..., None], rpc: Rpc) -> Callable[..., None]:
    """The function with the arguments and options of an RPC, which become its request."""

    def run(cli: Cli, **values: Any) -> None:
        fields = {name: values.pop(name) for name in of_fields}
        function(cli, requests.build(cli, rpc, fields), **values)

    first, _, *own = inspect.signature(function, eval_str=True).parameters.values()
    fields = parameters.of_rpc(rpc)
    of_fields = [each.name for each in fields]
    cast("Any", run).__signature__ = inspect.Signature(
        [first, *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in [*own, *fields])]
    )
    return run


def build(function: Callable[..., None], name: str, help_text: str, example: str) -> Command:
    """The command of a function."""

    def run(context: typer.Context, **values: Any) -> None:
        given = {each.name: values.pop(each.name) for each in _COMMON}
        given.update({name: value for name, value in context.obj.items() if given[name] is None})
        form, jq = given.pop("form"), given.pop("jq")
        as_json, wide = bool(given.pop("as_json")), bool(given.pop("wide")) or form is Form.WIDE
        with _failures_reported(as_json=as_json or form is Form.JSON or jq is not None):
            _check_texts(context, {**values, **given})
            cli = Cli(
                settings.load(_with_secrets_asked_for(given)),
                as_json=as_json or jq is not None or form in (Form.JSON, Form.YAML, Form.NAME),
                wide=wide,
                writer=formats.Writer(form, jq),
            )
            try:
                _call(function, cli, values)
                cli.written()
            finally:
                cli.close()

    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    _set_parameters(run, own, hidden=True)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(
        name,
        help=help_text,
        short_help=re.split(r"(?<=[.;:])\s", help_text, maxsplit=1)[0].rstrip(".;:") + ".",
        epilog=f"Example: {example}\n\n{_SEE_COMMON}",
    )(run)
    return get_command(alone)


def _set_parameters(
    function: Callable[..., None], own: list[inspect.Parameter], *, hidden: bool = False
) -> None:
    """The parameters that Typer reads from the command line for a function that accepts any."""
    keywords = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
    common = [_hidden(each) for each in _COMMON] if hidden else _COMMON
    cast("Any", function).__signature__ = inspect.Signature([_CONTEXT, *keywords, *common])


def _hidden(parameter: inspect.Parameter) -> inspect.Parameter:
    """The same option, not shown in help."""
    kind, option = get_args(parameter.annotation)
    quiet = copy.copy(option)
    quiet.hidden = True
    return parameter.replace(annotation=cast("Any", Annotated)[kind, quiet])


def _call(function: Callable[..., None], cli: Cli, values: dict[str, Any]) -> None:
    """Run a command; a call that fails becomes a Failure."""
    try:
        function(cli, **values)
    except Exception as error:
        # Nothing was called where the client was not even imported.
        client = sys.modules.get("finlink_client")
        if client is not None and isinstance(error, client.FinlinkError):
            about_login = error.code in LOGIN_NEEDED
            names = rpcs.names(cli) if about_login else cli.names
            raise of_call(error, cli.settings, cli.options, names) from error
        raise


def _with_secrets_asked_for(given: dict[str, Any]) -> dict[str, Any]:
    asked = {}
    for name, what in (("api_key", "API key"), ("access_token", "Access token")):
        if given[name] != "-":
            continue
        if not sys.stdin.isatty():
            flag, variable = name.replace("_", "-"), f"FINLINK_{name.upper()}"
            raise wrong_usage(f"--{flag} - needs a terminal", f"Put it into {variable}.")
        asked[name] = streams.ask(what, hide_input=True)
    return {**given, **asked}


def _check_texts(context: typer.Context, values: dict[str, Any]) -> None:
    """Raises Failure for what the shell gave in another encoding; names of files may be any bytes."""
    for parameter in context.command.params:
        value = values.get(parameter.name or "")
        if not all(map(streams.is_text, value if isinstance(value, list) else [value])):
            option = parameter.param_type_name == "option"
            name = parameter.opts[0] if option else parameter.metavar or parameter.name
            encoding = sys.getfilesystemencoding().upper()
            raise wrong_usage(f"{name}: what was given is no {encoding}, this shell's encoding")


@contextmanager
def _failures_reported(*, as_json: bool) -> Iterator[None]:
    """Say what went wrong and end with its exit code."""
    try:
        yield
        sys.stdout.flush()
    except Failure as failure:
        report(failure, as_json=as_json)
        raise typer.Exit(failure.exit_code) from None
    except OSError as error:  # Typer would end with 1 where nobody reads
        if not streams.is_unwritten(error):
            raise
        raise typer.Exit(unwritten(error, as_json=as_json)) from None


def report(failure: Failure, *, as_json: bool) -> None:
    """Say to stderr what went wrong; where that takes nothing, the exit code alone says it."""
    try:
        if as_json:
            output.print_json(failure.as_json(), stderr=True)
        else:
            output.screen(stderr=True).print(output.safe(str(failure)), style="red", soft_wrap=True)
    except OSError:
        streams.discard(sys.stderr)


def unwritten(error: OSError, *, as_json: bool) -> int:
    """The output takes no more: its reader has gone, as after `| head`, or its disk is full."""
    streams.discard(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return Exit.PIPE_CLOSED
    message = f"the output cannot be written: {error.strerror}"
    report(Failure("OUTPUT", message, Exit.FAILED), as_json=as_json)
    return Exit.FAILED
