"""The command `finlink`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from types import TracebackType
from typing import Any, cast

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from finlink_cli import (
    completion,
    connectors,
    export,
    health,
    sandbox,
    signing_in,
    status,
    streams,
    sync,
    sync_failures,
    tree,
    trends,
    watch,
)
from finlink_cli.command import Command, report, takes_common_options, unwritten
from finlink_cli.failures import Exit, Failure, wrong_usage

# Their functions are commands.
_BY_HAND = (
    completion, connectors, export, health, sandbox, signing_in, status, sync, sync_failures, trends,
    watch,
)  # fmt: skip

_app = typer.Typer(
    name="finlink",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Finlink: users and their connections to financial platforms.",
    epilog="Example: finlink status",
)
takes_common_options(_app)


def program_commands() -> Command:
    """`finlink` with all its commands."""
    group = get_command(_app)
    cast("Any", group).commands = tree.commands()
    return group


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `finlink ARGUMENTS`, of this process where none are given; the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = program_commands().main(
            args=list(arguments), prog_name="finlink", standalone_mode=False
        )
        sys.stdout.flush()
    except OSError as error:
        if not streams.is_unwritten(error):
            raise
        return unwritten(error, as_json=_wants_json(arguments))
    except TyperException as error:
        message = error.format_message().replace("Value error, ", "")  # pydantic's words
        if message.startswith("Usage: "):  # help, in place of a command that was not given
            typer.echo(message)
        else:
            report(wrong_usage(message, "See --help."), as_json=_wants_json(arguments))
        return Exit.USAGE
    except typer.Abort:  # Ctrl-C or Ctrl-D at a question, or a no
        return Exit.INTERRUPTED
    return code or Exit.OK


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether errors are to be JSON, also those of arguments that cannot be parsed."""
    return bool({"--json", "--jq", "-ojson", "--format=json"} & set(arguments)) or any(
        pair in (("-o", "json"), ("--format", "json")) for pair in pairwise(arguments)
    )


def program() -> None:
    """The entry point that is installed as `finlink`."""
    sys.excepthook = _report_fault
    streams.make_usable()
    sys.exit(main())


def _report_fault(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """People can do nothing with a stack trace; who mends the fault asks for it."""
    if os.environ.get("FINLINK_DEBUG"):
        sys.__excepthook__(kind, error, traceback)
        return
    message = f"this command has a fault: {kind.__name__}: {error}"
    hint = "Please report it, with the output when FINLINK_DEBUG=1 is set."
    report(Failure("FAULT", message, Exit.FAILED, hint=hint), as_json=_wants_json(sys.argv))
