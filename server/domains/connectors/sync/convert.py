"""Syncs between the domain and the contract's messages; pure."""

from finlink.connectors.v1 import sync_pb2 as pb
from finlink.connectors.v1 import sync_service_pb2 as rpc

from server.domains.connectors.connections.convert import history_entry
from server.domains.connectors.model import Connector, RunState
from server.domains.connectors.sync.service import Triggered
from server.rpc.fields import to_message
from server.rpc.times import timestamp


def triggered(run: Triggered) -> rpc.TriggerSyncResponse:
    skipped = run.skipped is not None
    return rpc.TriggerSyncResponse(
        message="Sync skipped" if skipped else "Sync initiated successfully",
        data=rpc.TriggerSyncData(
            sync_id=run.sync_id,
            status="skipped" if skipped else "in_progress",
            estimated_duration=run.estimated_duration,
            reason=run.skipped,
        ),
    )


def cancelled(run: tuple[RunState, bool]) -> rpc.CancelSyncResponse:
    """A run as it stands, and whether it was ended just now."""
    state, ended = run
    return rpc.CancelSyncResponse(
        message="Sync cancelled" if ended else "Sync already finished", data=sync_run(state)
    )


def sync_status(value: Connector) -> rpc.SyncStatus:
    return rpc.SyncStatus(
        last_sync_at=timestamp(value.sync.last_at),
        next_sync_at=timestamp(value.sync.next_at),
        sync_interval=value.sync.interval,
        sync_history=map(history_entry, value.history),
        total_syncs=value.totals.runs,
        successful_syncs=value.totals.successful,
        failed_syncs=value.totals.failed,
        success_rate=value.totals.success_rate,
        auto_sync=value.sync.auto,
        current_sync_id=value.sync.run.sync_id if value.sync.run else None,
    )


def sync_run(value: RunState) -> pb.SyncRun:
    error = None
    if value.error_code is not None:
        error = pb.SyncError(code=value.error_code, message=value.error_message or "")
    return to_message(pb.SyncRun, value, error=error)
