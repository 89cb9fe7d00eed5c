"""`finlink watch`: what changes, as it happens."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from finlink_cli import output, rpcs
from finlink_cli.cli import Cli
from finlink_cli.command import command
from finlink_cli.parameters import complete_connector


@command(
    "watch",
    rpc="WatchConnectors",
    example="finlink watch --user asha --json | jq .connector.connectionStatus",
)
def watch(
    cli: Cli,
    request: Any,
    connector: Annotated[
        str | None,
        typer.Option(
            help="Only this connector: its id, or USER/PLATFORM.", autocompletion=complete_connector
        ),
    ] = None,
) -> None:
    """Reports each change of a connection and each step of a sync, until Ctrl-C.

    With --json each event is an object on its own line, heartbeats included.
    """
    wanted = None if connector is None else rpcs.connector_id(cli, connector)
    if wanted is not None:
        request.user_id = rpcs.reply(cli, "GetConnector", connector_id=wanted).data.user_id
    for event in map(output.to_json, cli.finlink.watch_connectors(request)):
        if wanted is not None and event.get("connector", {"id": wanted})["id"] != wanted:
            continue
        if cli.as_json:
            cli.put(event)
        elif event["type"] == "ready":
            cli.notes.print("Watching; Ctrl-C ends it.")
        elif event["type"] != "heartbeat":
            cli.screen.print(_line(event))


def _line(event: output.Json) -> Text:
    """An event for people."""
    connector = event["connector"]
    words = [event["occurredAt"], connector["userId"], connector["platform"], event["type"]]
    if event["type"] == "connector":
        words.append(connector["connectionStatus"])
    run = event.get("endedSync") or event.get("sync")
    if run:
        words += [run["state"], *run["counts"]]
        if "error" in run:
            words.append(f"{run['error']['code']}: {run['error']['message']}")
    return Text("  ").join(map(output.cell, words))
