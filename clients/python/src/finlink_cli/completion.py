"""Completion in the shell: its script, and the users and connectors that there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from itertools import islice
from typing import Annotated, Any

import typer

from finlink_cli import contract, rpcs, settings
from finlink_cli.cli import Cli
from finlink_cli.command import command

_SECONDS = 2.0  # nobody waits longer for a word
_PAGE, _MOST = 100, 50


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@command(
    "completion",
    example="finlink completion bash",
)
def completion(
    cli: Cli, shell: Annotated[Shell, typer.Argument(help="The shell that is to complete.")]
) -> None:
    """Prints the script with which a shell completes commands, options, users and connectors."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    script = get_completion_script(
        prog_name="finlink", complete_var="_FINLINK_COMPLETE", shell=shell.value
    )
    typer.echo(script)


def users(incomplete: str) -> list[str]:
    """The newest users whose id begins so."""
    return _found(
        lambda cli: (user.user_id for user in _list(cli, "ListUsers", limit=_PAGE).users),
        incomplete,
    )


def connectors(incomplete: str) -> list[str]:
    """USER/PLATFORM of the newest connectors that begin so, or of those of a user."""

    def call(cli: Cli) -> Iterable[str]:
        user_id, slash, _ = incomplete.partition("/")
        if slash:
            data = _list(cli, "ListUserConnectors", user_id=user_id)
        else:
            data = _list(cli, "ListConnectors", limit=_PAGE)
        return (f"{each.user_id or user_id}/{each.platform}" for each in data.connectors)

    return _found(call, incomplete)


def _list(cli: Cli, method: str, **fields: Any) -> Any:
    rpc = contract.find(method)
    return rpcs.call(cli, rpc, rpcs.blank(rpc, **fields), timeout=_SECONDS).data


def _found(call: Callable[[Cli], Iterable[str]], incomplete: str) -> list[str]:
    """The words that begin so; none where Finlink does not reply: a shell shows no errors."""
    try:
        cli = Cli(settings.load({}), as_json=True)
        try:
            return list(islice((each for each in call(cli) if each.startswith(incomplete)), _MOST))
        finally:
            cli.close()
    except Exception:  # noqa: BLE001 - whatever it is, a shell could but garble the line
        return []
