"""Connectors between the domain and the contract's messages; pure."""

from collections.abc import Mapping
from datetime import datetime

from finlink.connectors.v1 import connector_pb2 as pb
from finlink.connectors.v1 import connector_service_pb2 as rpc
from finlink.connectors.v1 import session_pb2, status_summary_pb2, sync_pb2
from finlink_words import PLATFORMS

from server.domains.connectors.connections.connecting import Connection, LoginNeeded
from server.domains.connectors.model import Connector, ConnectorFilter, ConnectRequest, HistoryEntry
from server.rpc.fields import to_message, to_model
from server.rpc.times import date_bounds


def credentials(message: session_pb2.Credentials) -> dict[str, str]:
    """The fields that were sent, by JSON name."""
    return {field.json_name: value for field, value in message.ListFields()}


def connect_request(request: rpc.CreateConnectorRequest) -> ConnectRequest:
    return ConnectRequest(
        request.user_id, request.platform, request.permissions, credentials(request.credentials)
    )


def created(made: Connection) -> rpc.CreateConnectorResponse:
    """A connection just made, or waiting for the login at its URL."""
    connector = made.connector
    login_url = made.login_url if isinstance(made, LoginNeeded) else None
    data = to_message(
        rpc.CreateConnectorData,
        connector,
        session_id=connector.session.id,
        connection_status=connector.status,
        connected_at=connector.session.connected_at if connector.live else None,
        sync_interval=connector.sync.interval,
        login_url=login_url,
    )
    message = "Connected successfully" if login_url is None else "Login required"
    return rpc.CreateConnectorResponse(message=message, data=data)


def status_filter(request: status_summary_pb2.GetConnectorStatusSummaryRequest) -> ConnectorFilter:
    """Raises InvalidRequest where the dates are the wrong way round."""
    first, last = date_bounds(request.from_date, request.to_date)
    return to_model(ConnectorFilter, request, connected_from=first, connected_to=last)


def status_summary(
    counts: Mapping[tuple[str, str, bool], int],
) -> status_summary_pb2.ConnectorStatusSummary:
    def total(
        status: str | None = None, platform: str | None = None, *, failing: bool = False
    ) -> int:
        return sum(
            count
            for (its_platform, its_status, fails), count in counts.items()
            if platform in {None, its_platform}
            and status in {None, its_status}
            and (fails or not failing)
        )

    return status_summary_pb2.ConnectorStatusSummary(
        summary=status_summary_pb2.ConnectionCounts(
            total_connections=total(),
            active_connections=total("connected"),
            disconnected_connections=total("disconnected"),
            error_connections=total("error"),
            expired_connections=total("expired"),
            failing_connections=total(failing=True),
        ),
        by_platform={
            platform: status_summary_pb2.PlatformCounts(
                total=total(platform=platform),
                active=total("connected", platform),
                disconnected=total("disconnected", platform),
                error=total("error", platform),
                expired=total("expired", platform),
                failing=total(platform=platform, failing=True),
            )
            for platform in PLATFORMS
        },
    )


def summary(value: Connector, now: datetime) -> pb.ConnectorSummary:
    return to_message(
        pb.ConnectorSummary,
        value,
        connection_status=value.status,
        session_id=value.session.id,
        connected_at=value.session.connected_at,
        disconnected_at=value.session.disconnected_at,
        last_sync_at=value.sync.last_at,
        session_duration=value.session_duration(now),
        sync_interval=value.sync.interval,
        account_type=value.session.account_type,
        expires_soon=value.expires_soon(now),
        last_run=last_run(value),
        login_pending=value.login_pending or None,
    )


def connector(value: Connector, now: datetime) -> pb.Connector:
    details = to_message(
        pb.ConnectionDetails,
        value.session,
        session_duration=value.session_duration(now),
        last_sync_at=value.sync.last_at,
        sync_interval=value.sync.interval,
        expires_soon=value.expires_soon(now),
    )
    metadata = to_message(
        pb.ConnectorMetadata,
        value.session,
        permissions=value.permissions,
        data_types=value.sync.data_types,
    )
    return to_message(
        pb.Connector,
        value,
        connection_status=value.status,
        session_id=value.session.id,
        connection_details=details,
        metadata=metadata,
        sync_history=map(history_entry, value.history),
        last_run=last_run(value),
        login_pending=value.login_pending or None,
    )


def last_run(value: Connector) -> sync_pb2.LastRun | None:
    """How its newest finished run ended; None if there is none."""
    if not value.history:
        return None
    newest = value.history[0]
    missing = [each.data_type for each in newest.missing]
    return to_message(sync_pb2.LastRun, newest, finished_at=newest.synced_at, missing=missing)


def history_entry(value: HistoryEntry) -> sync_pb2.SyncHistoryEntry:
    return to_message(sync_pb2.SyncHistoryEntry, value)
