"""The RPCs of finlink.connectors.v1.ConnectorService: convert in, call a service, convert out."""

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from finlink.connectors.v1 import (
    connector_reads_pb2,
    connector_service_pb2_grpc,
    record_pb2,
    session_pb2,
    status_summary_pb2,
    trend_pb2,
    watch_pb2,
)
from finlink.connectors.v1 import connector_service_pb2 as rpc
from finlink.types.v1 import pagination_pb2

from server.cache.responses import Shown
from server.core.clock import utc_now
from server.core.pages import PageRequest
from server.domains.connectors.connections import convert
from server.domains.connectors.connections.connecting import Connecting
from server.domains.connectors.connections.service import ConnectorService
from server.domains.connectors.model import Connector, ConnectorFilter
from server.domains.connectors.records import convert as record_convert
from server.domains.connectors.sync.service import SyncService
from server.domains.connectors.trends import convert as trend_convert
from server.domains.connectors.trends.store import TrendStore
from server.domains.connectors.watch import convert as watch_convert
from server.domains.connectors.watch.changes import Change
from server.rpc.call import Context, replied, reply_shows
from server.rpc.fields import to_model
from server.rpc.times import timestamp
from server.streaming.watches import Watches

DEFAULT_MINUTES = 60  # of trends


@dataclass(frozen=True)
class ConnectorServicer(connector_service_pb2_grpc.ConnectorServiceServicer):
    _connecting: Connecting
    _connectors: ConnectorService
    _syncs: SyncService
    _watches: Watches[Change]
    _trends: TrendStore

    async def CreateConnector(
        self, request: rpc.CreateConnectorRequest, context: Context
    ) -> rpc.CreateConnectorResponse:
        return await replied(
            partial(self._connecting.connect, convert.connect_request(request)), convert.created
        )

    async def ListConnectors(
        self, request: connector_reads_pb2.ListConnectorsRequest, context: Context
    ) -> connector_reads_pb2.ListConnectorsResponse:
        where = to_model(ConnectorFilter, request)
        page, token = await self._connectors.list(where, to_model(PageRequest, request))
        now = utc_now()
        data = connector_reads_pb2.ListConnectorsData(
            connectors=[convert.summary(connector, now) for connector in page],
            pagination=pagination_pb2.Pagination(next_page_token=token),
        )
        return connector_reads_pb2.ListConnectorsResponse(data=data)

    async def GetConnectorStatusSummary(
        self, request: status_summary_pb2.GetConnectorStatusSummaryRequest, context: Context
    ) -> status_summary_pb2.GetConnectorStatusSummaryResponse:
        counts = await self._connectors.count(convert.status_filter(request))
        return status_summary_pb2.GetConnectorStatusSummaryResponse(
            data=convert.status_summary(counts)
        )

    async def GetConnectorTrends(
        self, request: trend_pb2.GetConnectorTrendsRequest, context: Context
    ) -> trend_pb2.GetConnectorTrendsResponse:
        trends = await self._trends.last(request.minutes or DEFAULT_MINUTES)
        return trend_pb2.GetConnectorTrendsResponse(data=trend_convert.trends(trends))

    async def GetConnector(
        self, request: connector_reads_pb2.GetConnectorRequest, context: Context
    ) -> connector_reads_pb2.GetConnectorResponse:
        connector = await self._connectors.get(request.connector_id)
        return connector_reads_pb2.GetConnectorResponse(
            data=convert.connector(connector, utc_now())
        )

    async def ListUserConnectors(
        self, request: connector_reads_pb2.ListUserConnectorsRequest, context: Context
    ) -> connector_reads_pb2.ListUserConnectorsResponse:
        user, connectors = await self._connectors.of_user(request.user_id)
        now = utc_now()
        reply_shows(_shown([user], connectors, now))
        data = connector_reads_pb2.ListUserConnectorsData(
            connectors=[convert.summary(connector, now) for connector in connectors],
            total_connectors=len(connectors),
            active_connections=sum(connector.status == "connected" for connector in connectors),
        )
        return connector_reads_pb2.ListUserConnectorsResponse(data=data)

    async def GetUserPlatformConnector(
        self, request: connector_reads_pb2.GetUserPlatformConnectorRequest, context: Context
    ) -> connector_reads_pb2.GetUserPlatformConnectorResponse:
        connector = await self._connectors.find(request.user_id, request.platform)
        now = utc_now()
        reply_shows(_shown([], [connector], now))
        data = connector_reads_pb2.GetUserPlatformConnectorData(
            connector=convert.summary(connector, now)
        )
        return connector_reads_pb2.GetUserPlatformConnectorResponse(data=data)

    async def DisconnectConnector(
        self, request: session_pb2.DisconnectConnectorRequest, context: Context
    ) -> session_pb2.DisconnectConnectorResponse:
        return await replied(
            partial(
                self._connectors.disconnect,
                request.connector_id,
                delete_records=request.delete_records,
            ),
            lambda connector: session_pb2.DisconnectConnectorResponse(
                message="Disconnected successfully",
                data=session_pb2.DisconnectConnectorData(
                    platform=connector.platform,
                    disconnected_at=timestamp(connector.session.disconnected_at),
                    session_duration=connector.session_duration(utc_now()),
                ),
            ),
        )

    async def RefreshSession(
        self, request: session_pb2.RefreshSessionRequest, context: Context
    ) -> session_pb2.RefreshSessionResponse:
        return await replied(
            partial(
                self._connectors.refresh,
                request.connector_id,
                convert.credentials(request.credentials),
            ),
            lambda connector: session_pb2.RefreshSessionResponse(
                message="Session refreshed successfully",
                data=session_pb2.RefreshSessionData(
                    session_id=connector.session.id or "",
                    expires_at=timestamp(connector.session.expires_at),
                ),
            ),
        )

    async def ListRecords(
        self, request: record_pb2.ListRecordsRequest, context: Context
    ) -> record_pb2.ListRecordsResponse:
        wanted = to_model(PageRequest, request)
        page, token = await self._syncs.records(
            request.connector_id, request.data_type or None, wanted
        )
        data = record_pb2.ListRecordsData(
            records=map(record_convert.record, page),
            pagination=pagination_pb2.Pagination(next_page_token=token),
        )
        return record_pb2.ListRecordsResponse(data=data)

    async def WatchConnectors(
        self, request: watch_pb2.WatchConnectorsRequest, context: Context
    ) -> AsyncIterator[watch_pb2.WatchConnectorsResponse]:
        events = self._watches.watch(request.user_id or None, request.resume_token or None)
        async with aclosing(events):
            async for event in events:
                yield watch_convert.response(event)


def _shown(others: Sequence[str], connectors: Sequence[Connector], now: datetime) -> Shown:
    """The documents that a reply with summaries of connectors shows."""
    until = min((each.summary_until(now) for each in connectors), default=math.inf)
    return Shown([*others, *(each.id for each in connectors)], until)
