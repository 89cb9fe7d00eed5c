"""`finlink users export`: all that is held on a user."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from finlink_cli import output
from finlink_cli.calls import new_file
from finlink_cli.cli import Cli
from finlink_cli.command import command
from finlink_cli.parameters import Output


@command("users export", rpc="ExportUser", example="finlink users export asha --output asha.jsonl")
def export(cli: Cli, request: Any, file: Output = None) -> None:
    """Writes everything held on a user, as JSON lines; the line `completed` says it is whole.

    A file that exists is not written over, and an export that breaks off leaves none. It needs an
    API key of the scope admin, where keys are used.
    """
    pieces = map(output.to_json, cli.finlink.export_user(request))
    if file is None:
        for piece in pieces:
            output.print_json(piece)
    else:
        _into(cli, pieces, file)


def _into(cli: Cli, pieces: Iterable[output.Json], file: Path) -> None:
    with new_file(file) as lines, cli.progress("Exporting") as note:
        for number, piece in enumerate(pieces, 1):
            note(f"{number} pieces")
            lines.write(f"{json.dumps(piece)}\n".encode())
    cli.tell({"file": str(file), **piece["completed"]})
