"""The RPCs of finlink.connectors.v1.SyncService: convert in, call the service, convert out."""

from functools import partial

from finlink.connectors.v1 import sync_service_pb2 as rpc
from finlink.connectors.v1 import sync_service_pb2_grpc

from server.domains.connectors.sync import convert
from server.domains.connectors.sync.service import SyncService
from server.rpc.call import Context, replied


class SyncServicer(sync_service_pb2_grpc.SyncServiceServicer):
    def __init__(self, syncs: SyncService) -> None:
        self._syncs = syncs

    async def GetSyncStatus(
        self, request: rpc.GetSyncStatusRequest, context: Context
    ) -> rpc.GetSyncStatusResponse:
        connector = await self._syncs.status(request.connector_id)
        return rpc.GetSyncStatusResponse(data=convert.sync_status(connector))

    async def UpdateSyncSettings(
        self, request: rpc.UpdateSyncSettingsRequest, context: Context
    ) -> rpc.UpdateSyncSettingsResponse:
        return await replied(
            partial(
                self._syncs.update_settings,
                request.connector_id,
                request.sync_interval if request.HasField("sync_interval") else None,
                request.data_types,
                request.auto_sync if request.HasField("auto_sync") else None,
            ),
            lambda connector: rpc.UpdateSyncSettingsResponse(
                message="Sync settings updated successfully",
                data=rpc.SyncSettings(
                    sync_interval=connector.sync.interval,
                    data_types=connector.sync.data_types,
                    auto_sync=connector.sync.auto,
                ),
            ),
        )

    async def TriggerSync(
        self, request: rpc.TriggerSyncRequest, context: Context
    ) -> rpc.TriggerSyncResponse:
        force = request.force_sync if request.HasField("force_sync") else True
        return await replied(
            partial(self._syncs.trigger, request.connector_id, request.data_types, force=force),
            convert.triggered,
        )

    async def GetSync(self, request: rpc.GetSyncRequest, context: Context) -> rpc.GetSyncResponse:
        state = await self._syncs.get(request.connector_id, request.sync_id)
        return rpc.GetSyncResponse(data=convert.sync_run(state))

    async def CancelSync(
        self, request: rpc.CancelSyncRequest, context: Context
    ) -> rpc.CancelSyncResponse:
        return await replied(
            partial(self._syncs.cancel, request.connector_id, request.sync_id), convert.cancelled
        )
