"""`finlink sync start`: a run, followed to its end where that is asked for."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from finlink_cli import replies, rpcs, runs
from finlink_cli.cli import Cli
from finlink_cli.command import command


@command("sync start", rpc="TriggerSync", example="finlink sync start asha/zerodha --wait")
def start(
    cli: Cli,
    request: Any,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the run; exit with 1 unless it succeeds.")
    ] = False,
) -> None:
    """Starts a sync, or joins the one under way."""
    started = rpcs.named(cli, "TriggerSync")(request)
    if not wait or started.data.status == "skipped":
        replies.show(cli, started)
        return
    run = runs.followed(cli, request.connector_id, started.data.sync_id)
    replies.one(cli, run)
    runs.check(cli, run)
