"""Events of a watch as the contract's messages; pure."""

from finlink.connectors.v1 import watch_pb2 as pb

from server.domains.connectors.connections import convert
from server.domains.connectors.model import Connector
from server.domains.connectors.sync import convert as sync_convert
from server.domains.connectors.watch.changes import Change
from server.rpc.fields import to_message
from server.rpc.times import timestamp
from server.streaming.watches import Event


def response(event: Event[Change]) -> pb.WatchConnectorsResponse:
    change = event.change
    return pb.WatchConnectorsResponse(
        resume_token=event.resume_token,
        type=event.kind,
        occurred_at=timestamp(event.at),
        connector=_connector(change.connector) if change else None,
        sync=sync_convert.sync_run(change.sync) if change and change.sync else None,
        ended_sync=sync_convert.sync_run(change.ended) if change and change.ended else None,
    )


def _connector(value: Connector) -> pb.WatchedConnector:
    return to_message(
        pb.WatchedConnector,
        value.session,
        id=value.id,
        user_id=value.user_id,
        platform=value.platform,
        connection_status=value.status,
        last_sync_at=value.sync.last_at,
        last_run=convert.last_run(value),
        failing=value.failing,
    )
