"""`finlink status`: how many connectors there are, and how they are."""

from __future__ import annotations

from typing import Annotated

import typer

from finlink_cli import output
from finlink_cli.cli import Cli
from finlink_cli.command import command
from finlink_cli.words import ConnectionStatus, Platform

_COLUMNS = ("platform", "total", "active", "disconnected", "error", "expired")


def add_to(app: typer.Typer) -> None:
    command(app, example="finlink status --json | jq .summary.errorConnections")(status)


def status(
    cli: Cli,
    platform: Annotated[Platform | None, typer.Option(help="Only this platform.")] = None,
    status: Annotated[ConnectionStatus | None, typer.Option(help="Only this status.")] = None,
    from_date: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Connected at or after: YYYY-MM-DD or RFC 3339."),
    ] = None,
    to_date: Annotated[
        str | None, typer.Option(metavar="DATE", help="Connected at or before, alike.")
    ] = None,
) -> None:
    """Count connectors by platform and status."""
    from finlink.connectors.v1.connector_service_pb2 import GetConnectorStatusSummaryRequest

    request = GetConnectorStatusSummaryRequest(
        platform=platform, status=status, from_date=from_date, to_date=to_date
    )
    data = output.to_json(cli.finlink.connectors.GetConnectorStatusSummary(request).data)
    if cli.as_json:
        output.print_json(data)
        return
    summary = {name.removesuffix("Connections"): count for name, count in data["summary"].items()}
    platforms = [{"platform": name, **counts} for name, counts in data["byPlatform"].items()]
    cli.screen.print(output.table([*platforms, {"platform": "all", **summary}], _COLUMNS))
    if data["summary"]["errorConnections"] + data["summary"]["expiredConnections"]:
        cli.say("\n'finlink sync failures' tells why connectors fail.")
