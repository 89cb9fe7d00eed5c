"""`finlink sync`: runs, what became of them, and when the next is due."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from finlink_cli import output
from finlink_cli.cli import Cli
from finlink_cli.command import command
from finlink_cli.connectors import LISTS
from finlink_cli.failures import Exit, Failure, sync_advice, wrong_usage
from finlink_cli.parameters import Connector
from finlink_cli.sync_failures import failures
from finlink_cli.words import DataType

if TYPE_CHECKING:
    from finlink.connectors.v1.sync_pb2 import SyncRun

app = typer.Typer(
    name="sync",
    no_args_is_help=True,
    help="Start, follow, cancel and schedule syncs; find what fails.",
)
command(app, example="finlink sync failures --platform zerodha")(failures)

_UNDER_WAY = {"in_progress", "deferred"}
_PAUSE = 0.3  # seconds between two looks at a run
_ENDED_AS = {
    "partial": "the sync brought a part only",
    "failed": "the sync failed",
    "cancelled": "the sync was cancelled",
    "abandoned": "the sync's worker stopped",
}

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
    run = _followed(cli, connector_id, answer.data.sync_id)
    cli.one(run)
    if run.state != "success":
        raise _unsuccessful(run, connector)


@command(app, example="finlink sync status asha/zerodha")
def status(cli: Cli, connector: Connector) -> None:
    """Show when a connector synced and will sync, its newest runs and its totals."""
    from finlink.connectors.v1.connector_service_pb2 import GetSyncStatusRequest

    request = GetSyncStatusRequest(connector_id=cli.connector_id(connector))
    cli.one(cli.finlink.connectors.GetSyncStatus(request).data, LISTS)


@command(app, example="finlink sync show asha/zerodha sync_0123456789abcdef01234567")
def show(cli: Cli, connector: Connector, sync_id: SyncId) -> None:
    """Show a run: the one under way, or one of the newest 50."""
    cli.one(_run(cli, cli.connector_id(connector), sync_id))


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


def _run(cli: Cli, connector_id: str, sync_id: str) -> SyncRun:
    from finlink.connectors.v1.connector_service_pb2 import GetSyncRequest

    request = GetSyncRequest(connector_id=connector_id, sync_id=sync_id)
    return cli.finlink.connectors.GetSync(request).data


def _followed(cli: Cli, connector_id: str, sync_id: str) -> SyncRun:
    """A run once it has ended."""
    with cli.progress("Syncing") as note:
        while (run := _run(cli, connector_id, sync_id)).state in _UNDER_WAY:
            counts = output.cell(output.to_json(run)["counts"])
            note(f"{output.label(run.state)}  {counts}")
            time.sleep(_PAUSE)
    return run


def _unsuccessful(run: SyncRun, connector: str) -> Failure:
    """A run that did not bring all it was to bring."""
    cause = f": {run.error.message}" if run.error.message else ""
    return Failure(
        run.error.code or run.state.upper(),
        f"{_ENDED_AS.get(run.state, run.state)}{cause}",
        Exit.FAILED,
        hint=f"What to do: {sync_advice(run.error.code, connector=connector)}.",
    )
