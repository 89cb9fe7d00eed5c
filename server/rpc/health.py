"""gRPC health (`grpc.health.v1`), for the server and per service: serving while MongoDB responds."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import structlog
from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer

from server.rpc.call import Context

_log = structlog.stdlib.get_logger("finlink.health")

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class _Servicer(HealthServicer):
    """With `List`, which the library describes and does not serve."""

    def __init__(self) -> None:
        super().__init__()
        self._statuses: dict[str, health_pb2.HealthCheckResponse] = {}

    async def set(self, service: str, status: int) -> None:
        await super().set(service, status)
        self._statuses[service] = health_pb2.HealthCheckResponse(status=cast("Any", status))

    async def List(self, _request: object, _context: Context) -> Any:  # noqa: N802
        return cast("Any", health_pb2).HealthListResponse(statuses=self._statuses)


class Health:
    """Keeps the health status true by probing every `interval` seconds."""

    def __init__(
        self,
        services: Sequence[str],
        probe: Callable[[], Awaitable[None]],
        interval: float = 1.0,
        timeout: float = 2.0,
    ) -> None:
        self.servicer = _Servicer()
        self._services = ("", *services)
        self._probe = probe
        self._interval = interval
        self._timeout = timeout
        self._serving: bool | None = None

    async def watch(self) -> None:
        """Probe until cancelled, then say NOT_SERVING for good."""
        try:
            while True:
                await self._check()
                await asyncio.sleep(self._interval)
        finally:
            await self._set(False)

    async def _check(self) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self._probe()
        except Exception as error:  # noqa: BLE001 - whatever it is, the database does not respond
            if self._serving is not False:
                _log.warning("database does not respond", cause=type(error).__name__)
            await self._set(False)
        else:
            if self._serving is False:
                _log.info("database responds again")
            await self._set(True)

    async def _set(self, serving: bool) -> None:
        self._serving = serving
        for service in self._services:
            await self.servicer.set(service, SERVING if serving else NOT_SERVING)
