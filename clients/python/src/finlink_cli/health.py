"""`finlink health`: how the parts of Finlink are."""

from __future__ import annotations

from typing import Any

from finlink_cli import output, rpcs
from finlink_cli.cli import Cli
from finlink_cli.command import command
from finlink_cli.failures import Exit, Failure

_COLUMNS = ("check", "status", "lagSeconds", "message")


@command("health", rpc="GetHealth", example="finlink health --json | jq .checks.jobs")
def health(cli: Cli, request: Any) -> None:
    """Shows how the parts of Finlink are; ends with 7 if one of them fails."""
    data = output.to_json(rpcs.named(cli, "GetHealth")(request).data)
    if cli.as_json:
        cli.put(data)
    else:
        checks = [{"check": name, **found} for name, found in data["checks"].items()]
        cli.table("checks", checks, _COLUMNS)
    if data["status"] == "failing":
        failing = [name for name, found in data["checks"].items() if found["status"] == "failing"]
        raise Failure("FAILING", f"failing: {', '.join(failing)}", Exit.UNAVAILABLE)
