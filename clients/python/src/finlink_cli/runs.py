"""Runs of syncs, looked at until they have ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from finlink_cli import output, rpcs
from finlink_cli.cli import Cli
from finlink_cli.failures import Exit, Failure, sync_advice

if TYPE_CHECKING:
    from finlink.connectors.v1.sync_pb2 import SyncRun

_UNDER_WAY = {"in_progress", "deferred"}
_PAUSE = 0.3  # seconds between two looks at a run
_ENDED_AS = {
    "partial": "the sync brought a part only",
    "failed": "the sync failed",
    "cancelled": "the sync was cancelled",
    "abandoned": "the sync's worker stopped",
}


def followed(cli: Cli, connector_id: str, sync_id: str) -> SyncRun:
    """A run once it has ended."""
    with cli.progress("Syncing") as note:
        while (run := _run(cli, connector_id, sync_id)).state in _UNDER_WAY:
            counts = output.cell(output.to_json(run)["counts"])
            note(f"{output.label(run.state)}  {counts}")
            time.sleep(_PAUSE)
    return run


def _run(cli: Cli, connector_id: str, sync_id: str) -> SyncRun:
    reply = rpcs.reply(cli, "GetSync", connector_id=connector_id, sync_id=sync_id)
    run: SyncRun = reply.data
    return run


def check(cli: Cli, run: SyncRun) -> None:
    """Raises Failure for a run that did not bring all it was to bring."""
    if run.state == "success":
        return
    cause = f": {run.error.message}" if run.error.message else ""
    advice = sync_advice(run.error.code, rpcs.names(cli))
    raise Failure(
        run.error.code or run.state.upper(),
        f"{_ENDED_AS.get(run.state, run.state)}{cause}",
        Exit.FAILED,
        hint=f"{advice[0].upper()}{advice[1:]}.",
    )
