"""`finlink users export`: everything that Finlink keeps of a user."""

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
    """Writes everything that Finlink keeps of a user, as JSON lines; the line `completed` shows that it is
    complete.

    A file that exists is not written over, and an export that breaks off leaves none. It needs an
    API key of the scope admin, where keys are used.
    """
    items = map(output.to_json, cli.finlink.export_user(request))
    if file is None:
        for item in items:
            cli.put(item)
    else:
        _into(cli, items, file)


def _into(cli: Cli, items: Iterable[output.Json], file: Path) -> None:
    with new_file(file) as lines, cli.progress("Exporting") as note:
        for number, item in enumerate(items, 1):
            note(f"{number} items")
            lines.write(f"{json.dumps(item)}\n".encode())
    cli.show({"file": str(file), **item["completed"]})
