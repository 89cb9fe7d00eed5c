"""The composition root: builds a worker, runs it and stops it. The only place that picks classes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import grpc
import structlog
from finlink.users.v1 import user_service_pb2, user_service_pb2_grpc
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from server.config import ConfigError, Settings
from server.rpc.health import Health
from server.rpc.interceptors.completion import Completion
from server.rpc.interceptors.context import call_context
from server.rpc.interceptors.decoding import request_decoding
from server.rpc.interceptors.errors import error_status
from server.rpc.interceptors.logging import call_logging
from server.rpc.method import methods_of
from server.rpc.middleware import StepInterceptor
from server.rpc.unknown import UnknownMethods
from server.storage import driver
from server.storage.errors import translate
from server.storage.indexes import ensure_indexes
from server.users import store as user_store
from server.users.service import UserService
from server.users.servicer import UserServicer
from server.users.store import UserStore

_log = structlog.stdlib.get_logger("finlink.app")

# Envoy asks for health each second: after two answers of NOT_SERVING it sends nothing new.
DRAIN_SECONDS = 2.5
STOP_SECONDS = 10.0

_SERVER_OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 256 * 1024),
    ("grpc.max_metadata_size", 32 * 1024),  # a REST call brings its path and query along
    ("grpc.absolute_max_metadata_size", 64 * 1024),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
]


async def serve(settings: Settings, listen: str) -> None:
    """Run a worker on `listen` (`unix:PATH` or `HOST:PORT`) until SIGTERM or SIGINT.

    Raises ConfigError where the address cannot be listened on.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with driver.connected(settings) as database:
        async with running_server(settings, database, listen):
            _log.info("worker serving", listen=listen)
            await stop.wait()
            _log.info("worker draining")
    _log.info("worker stopped")


@asynccontextmanager
async def running_server(
    settings: Settings, database: driver.Database, listen: str
) -> AsyncIterator[None]:
    """A gRPC server with every domain; on leaving it says NOT_SERVING, drains and stops."""
    await ensure_indexes(database, user_store.indexes(settings.user_archive_days))
    users = UserService(database, UserStore(database))

    contract: list[FileDescriptor] = [user_service_pb2.DESCRIPTOR]
    services = [name for file in contract for name in _service_names(file)]
    completion = Completion()
    steps = [call_context, call_logging, error_status(translate), completion, request_decoding]
    server = grpc.aio.server(
        interceptors=[StepInterceptor(methods_of(services), steps)], options=_SERVER_OPTIONS
    )
    user_service_pb2_grpc.add_UserServiceServicer_to_server(UserServicer(users), server)

    health = Health(services, database.ping)
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    infrastructure = [*_service_names(health_pb2.DESCRIPTOR), reflection.SERVICE_NAME]
    reflection.enable_server_reflection([*services, *infrastructure], server)
    server.add_generic_rpc_handlers((UnknownMethods(),))
    try:
        server.add_insecure_port(listen)
    except RuntimeError as error:
        raise ConfigError(f"cannot listen on {listen}: is it in use?") from error

    watch = asyncio.create_task(health.watch())
    await server.start()
    try:
        yield
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        await asyncio.sleep(DRAIN_SECONDS)
        await server.stop(STOP_SECONDS)
        await completion.drain()


def _service_names(file: FileDescriptor) -> list[str]:
    return [service.full_name for service in file.services_by_name.values()]
