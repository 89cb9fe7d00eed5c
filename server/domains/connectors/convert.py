"""Connectors between the domain and the contract's messages; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from finlink.connectors.v1 import connector_pb2 as pb
from finlink.connectors.v1 import connector_service_pb2 as rpc
from finlink.connectors.v1 import sync_pb2
from finlink_words import PLATFORMS

from server.domains.connectors.model import (
    Connector,
    ConnectorFilter,
    DataTypeCount,
    HistoryEntry,
    Missing,
    RunState,
)
from server.domains.connectors.sync.service import Triggered
from server.rpc.times import date_bounds, timestamp


def credentials(message: rpc.Credentials) -> dict[str, str]:
    """What was sent, by JSON name."""
    return {field.json_name: value for field, value in message.ListFields()}


def created(connected: tuple[Connector, str | None]) -> rpc.CreateConnectorResponse:
    """A connection just made, or waiting for the login at its URL."""
    connector, login_url = connected
    data = rpc.CreateConnectorData(
        id=connector.id,
        user_id=connector.user_id,
        platform=connector.platform,
        session_id=connector.session_id,
        connection_status=connector.status,
        connected_at=timestamp(connector.connected_at) if connector.live else None,
        permissions=connector.permissions,
        sync_interval=connector.sync_interval,
        login_url=login_url,
    )
    message = "Connected successfully" if login_url is None else "Login required"
    return rpc.CreateConnectorResponse(message=message, data=data)


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


def status_filter(request: rpc.GetConnectorStatusSummaryRequest) -> ConnectorFilter:
    """Raises InvalidRequest where the dates are the wrong way round."""
    first, last = date_bounds(
        request.from_date if request.HasField("from_date") else None,
        request.to_date if request.HasField("to_date") else None,
    )
    return ConnectorFilter(
        platform=request.platform if request.HasField("platform") else None,
        status=request.status if request.HasField("status") else None,
        connected_from=first,
        connected_to=last,
    )


def status_summary(counts: Mapping[tuple[str, str], int]) -> rpc.ConnectorStatusSummary:
    def total(status: str | None = None, platform: str | None = None) -> int:
        return sum(
            count
            for (its_platform, its_status), count in counts.items()
            if platform in {None, its_platform} and status in {None, its_status}
        )

    return rpc.ConnectorStatusSummary(
        summary=rpc.ConnectionCounts(
            total_connections=total(),
            active_connections=total("connected"),
            disconnected_connections=total("disconnected"),
            error_connections=total("error"),
            expired_connections=total("expired"),
        ),
        by_platform={
            platform: rpc.PlatformCounts(
                total=total(platform=platform),
                active=total("connected", platform),
                disconnected=total("disconnected", platform),
                error=total("error", platform),
                expired=total("expired", platform),
            )
            for platform in PLATFORMS
        },
    )


def summary(value: Connector, now: datetime) -> pb.ConnectorSummary:
    return pb.ConnectorSummary(
        id=value.id,
        user_id=value.user_id,
        platform=value.platform,
        connection_status=value.status,
        session_id=value.session_id,
        connected_at=timestamp(value.connected_at),
        disconnected_at=timestamp(value.disconnected_at),
        last_sync_at=timestamp(value.last_sync_at),
        session_duration=value.session_duration(now),
        sync_interval=value.sync_interval,
        permissions=value.permissions,
        account_type=value.account_type,
        expires_soon=value.expires_soon(now),
    )


def connector(value: Connector, now: datetime) -> pb.Connector:
    return pb.Connector(
        id=value.id,
        user_id=value.user_id,
        platform=value.platform,
        connection_status=value.status,
        session_id=value.session_id,
        connection_details=pb.ConnectionDetails(
            connected_at=timestamp(value.connected_at),
            disconnected_at=timestamp(value.disconnected_at),
            session_duration=value.session_duration(now),
            last_sync_at=timestamp(value.last_sync_at),
            sync_interval=value.sync_interval,
            expires_at=timestamp(value.expires_at),
            expires_soon=value.expires_soon(now),
        ),
        metadata=pb.ConnectorMetadata(
            platform_user_id=value.platform_user_id,
            account_type=value.account_type,
            permissions=value.permissions,
            data_types=value.data_types,
        ),
        sync_history=map(history_entry, value.history),
        errors=[
            pb.ConnectorError(
                error_code=error.code,
                error_message=error.message,
                occurred_at=timestamp(error.occurred_at),
            )
            for error in value.errors
        ],
        created_at=timestamp(value.created_at),
        updated_at=timestamp(value.updated_at),
    )


def sync_status(value: Connector) -> rpc.SyncStatus:
    return rpc.SyncStatus(
        last_sync_at=timestamp(value.last_sync_at),
        next_sync_at=timestamp(value.next_sync_at),
        sync_interval=value.sync_interval,
        sync_history=map(history_entry, value.history),
        total_syncs=value.total_syncs,
        successful_syncs=value.successful_syncs,
        failed_syncs=value.failed_syncs,
        success_rate=value.success_rate,
        auto_sync=value.auto_sync,
        current_sync_id=value.run.sync_id if value.run else None,
    )


def sync_run(value: RunState) -> sync_pb2.SyncRun:
    error = None
    if value.error_code is not None:
        error = sync_pb2.SyncError(code=value.error_code, message=value.error_message or "")
    return sync_pb2.SyncRun(
        sync_id=value.sync_id,
        state=value.state,
        started_at=timestamp(value.started_at),
        finished_at=timestamp(value.finished_at),
        counts=_counts(value.counts),
        error=error,
        missing=map(_missing, value.missing),
    )


def history_entry(value: HistoryEntry) -> sync_pb2.SyncHistoryEntry:
    return sync_pb2.SyncHistoryEntry(
        synced_at=timestamp(value.synced_at),
        status=value.status,
        records_count=value.records_count,
        added_count=value.added_count,
        error_message=value.error_message,
        error_code=value.error_code,
        sync_id=value.sync_id,
        started_at=timestamp(value.started_at),
        counts=_counts(value.counts),
        missing=map(_missing, value.missing),
    )


def _missing(value: Missing) -> sync_pb2.MissingDataType:
    return sync_pb2.MissingDataType(
        data_type=value.data_type, code=value.code, message=value.message
    )


def _counts(counts: Sequence[DataTypeCount]) -> list[sync_pb2.DataTypeCount]:
    return [
        sync_pb2.DataTypeCount(
            data_type=count.data_type, records_count=count.records, added_count=count.added
        )
        for count in counts
    ]
