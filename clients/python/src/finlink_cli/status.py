"""`finlink status`: how many connectors there are, and how they are."""

from __future__ import annotations

from typing import Any

from finlink_cli import output, rpcs
from finlink_cli.cli import Cli
from finlink_cli.command import command

_COLUMNS = ("platform", "total", "active", "failing", "error", "expired", "disconnected")


@command(
    "status",
    rpc="GetConnectorStatusSummary",
    example="finlink status --json | jq .summary.errorConnections",
)
def status(cli: Cli, request: Any) -> None:
    """Counts connectors by platform and status."""
    data = output.to_json(rpcs.named(cli, "GetConnectorStatusSummary")(request).data)
    if cli.as_json:
        cli.put(data)
        return
    summary = {name.removesuffix("Connections"): count for name, count in data["summary"].items()}
    platforms = [{"platform": name, **counts} for name, counts in data["byPlatform"].items()]
    cli.table("platforms", [*platforms, {"platform": "all", **summary}], _COLUMNS)
    if any(data["summary"][f"{word}Connections"] for word in ("error", "expired", "failing")):
        cli.say("\n'finlink sync failures' shows why connectors fail.")
