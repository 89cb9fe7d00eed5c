"""Connectors and records as the export of their user has them."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from finlink.connectors.v1 import export_pb2 as pb
from finlink.exports.v1 import export_service_pb2

from server.core.clock import utc_now
from server.domains.connectors.connections import convert
from server.domains.connectors.export.service import ExportedRecord
from server.domains.connectors.model import Connector
from server.domains.connectors.records import convert as record_convert


def connector(value: Connector, now: datetime) -> export_service_pb2.ExportUserResponse:
    """Field by field, so that none comes in by itself: the message a reader gets has a session id."""
    whole = convert.connector(value, now)
    return export_service_pb2.ExportUserResponse(
        connector=pb.ExportedConnector(
            id=whole.id,
            platform=whole.platform,
            connection_status=whole.connection_status,
            connection_details=whole.connection_details,
            metadata=whole.metadata,
            auto_sync=value.sync.auto,
            total_syncs=value.totals.runs,
            successful_syncs=value.totals.successful,
            failed_syncs=value.totals.failed,
            sync_history=whole.sync_history,
            errors=whole.errors,
            created_at=whole.created_at,
            updated_at=whole.updated_at,
        )
    )


def record(value: ExportedRecord) -> export_service_pb2.ExportUserResponse:
    return export_service_pb2.ExportUserResponse(
        connector_id=value.connector_id, record=record_convert.record(value.record)
    )


EXPORTED: Mapping[str, Callable[[Any], export_service_pb2.ExportUserResponse]] = {
    "connector": lambda value: connector(value, utc_now()),
    "record": record,
}
