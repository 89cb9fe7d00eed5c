"""`finlink sync`: runs, what became of them, and when the next is due."""

from __future__ import annotations

from typing import Annotated

import typer

from finlink_cli import runs
from finlink_cli.cli import Cli
from finlink_cli.command import command
from finlink_cli.connectors import LISTS
from finlink_cli.failures import wrong_usage
from finlink_cli.parameters import Connector
from finlink_cli.sync_failures import failures
from finlink_cli.words import DataType

app = typer.Typer(
    name="sync",
    no_args_is_help=True,
    help="Start, follow, cancel and schedule syncs; find what fails.",
)
command(app, example="finlink sync failures --platform zerodha")(failures)

DataTypes = Annotated[
    list[DataType] | None, typer.Option("--data-type", help="What to fetch; may be repeated.")
]
SyncId = Annotated[str, typer.Argument(help="The run, as `sync start` gave it.")]


@command(app, example="finlink sync start asha/zerodha --wait")
def start(
    cli: Cli,
    connector: Connector,
    data_types: DataTypes = None,
    force: Annotated[
        bool, typer.Option(help="Sync although the last success is younger than the interval.")
    ] = True,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the run; exit with 1 unless it succeeds.")
    ] = False,
) -> None:
    """Start a sync, or join the one under way."""
    from finlink.connectors.v1.connector_service_pb2 import TriggerSyncRequest

    connector_id = cli.connector_id(connector)
    request = TriggerSyncRequest(
        connector_id=connector_id, data_types=data_types or [], force_sync=force
    )
    answer = cli.finlink.connectors.TriggerSync(request)
    if not wait or answer.data.status == "skipped":
        cli.changed(answer)
        return
    run = runs.followed(cli, connector_id, answer.data.sync_id)
    cli.one(run)
    runs.check(run, connector)


@command(app, example="finlink sync status asha/zerodha")
def status(cli: Cli, connector: Connector) -> None:
    """Show when a connector synced and will sync, its newest runs and its totals."""
    from finlink.connectors.v1.connector_service_pb2 import GetSyncStatusRequest

    request = GetSyncStatusRequest(connector_id=cli.connector_id(connector))
    cli.one(cli.finlink.connectors.GetSyncStatus(request).data, LISTS)


@command(app, example="finlink sync show asha/zerodha sync_0123456789abcdef01234567")
def show(cli: Cli, connector: Connector, sync_id: SyncId) -> None:
    """Show a run: the one under way, or one of the newest 50."""
    cli.one(runs.read(cli, cli.connector_id(connector), sync_id))


@command(app, example="finlink sync cancel asha/zerodha sync_0123456789abcdef01234567")
def cancel(cli: Cli, connector: Connector, sync_id: SyncId) -> None:
    """Cancel a run; what it has kept stays."""
    from finlink.connectors.v1.connector_service_pb2 import CancelSyncRequest

    request = CancelSyncRequest(connector_id=cli.connector_id(connector), sync_id=sync_id)
    cli.changed(cli.finlink.connectors.CancelSync(request))


@command(app, example="finlink sync settings asha/zerodha --interval 15 --no-auto")
def settings(
    cli: Cli,
    connector: Connector,
    interval: Annotated[
        int | None, typer.Option(help="Minutes between two syncs: 1 to 60.")
    ] = None,
    auto: Annotated[bool | None, typer.Option(help="Whether it syncs by itself.")] = None,
    data_types: DataTypes = None,
) -> None:
    """Change a connector's sync settings. Those that are not given stay as they are."""
    from finlink.connectors.v1.connector_service_pb2 import UpdateSyncSettingsRequest

    if interval is None and auto is None and not data_types:
        raise wrong_usage("nothing to change", "Give --interval, --auto, --no-auto or --data-type.")
    request = UpdateSyncSettingsRequest(
        connector_id=cli.connector_id(connector),
        sync_interval=interval,
        data_types=data_types or [],
        auto_sync=auto,
    )
    cli.changed(cli.finlink.connectors.UpdateSyncSettings(request))
