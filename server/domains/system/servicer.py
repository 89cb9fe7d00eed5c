"""The RPCs of finlink.system.v1.SystemService."""

from finlink.system.v1 import system_service_pb2 as rpc
from finlink.system.v1 import system_service_pb2_grpc

from server.core.version import VERSION
from server.domains.system.service import HealthService
from server.rpc.call import Context, reply_is_failing
from server.rpc.fields import to_message


class SystemServicer(system_service_pb2_grpc.SystemServiceServicer):
    def __init__(self, service: HealthService) -> None:
        self._service = service

    async def GetHealth(
        self, request: rpc.GetHealthRequest, context: Context
    ) -> rpc.GetHealthResponse:
        health = await self._service.look()
        if health.status == "failing":
            reply_is_failing()
        checks = {name: to_message(rpc.HealthCheck, found) for name, found in health.checks.items()}
        data = rpc.Health(status=health.status, version=VERSION, checks=checks)
        return rpc.GetHealthResponse(data=data)
