"""Whether `python -m server` takes a command line."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from server.__main__ import app


def understood(words: Sequence[str]) -> str:
    """The command's name. Raises where there is none, or it has no such option."""
    group = typer.main.get_command(app)
    with group.make_context("server", [words[0]], resilient_parsing=True) as context:
        name, command, _ = group.resolve_command(context, list(words))  # type: ignore[attr-defined]
    with command.make_context(name, list(words[1:])):
        return str(name)
