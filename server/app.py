"""A worker: put together, run and stopped."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from typing import Any, cast

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.cache.generations import Generations
from server.cache.responses import ResponseCache
from server.config import ConfigError, KeySettings, Settings
from server.core.clock import CLOCK
from server.delivery.building import build_delivery
from server.domains.registry import CONTRACT, FOLLOWED, build
from server.domains.users.service import UserDirectory
from server.domains.users.store import UserStore
from server.kernel import Engine, Kernel, Parts
from server.observability.exposition import serving_metrics
from server.observability.tracing import Tracing, current_tracing, enter_tracing
from server.rpc import reflection
from server.rpc.credentials import server_credentials
from server.rpc.handlers import Services
from server.rpc.health import Health
from server.rpc.method import methods_of
from server.rpc.middleware.authentication import Authentication
from server.rpc.middleware.cached_responses import CachedResponses
from server.rpc.middleware.chain import Middleware, MiddlewareServices
from server.rpc.middleware.completion import Completion
from server.rpc.middleware.decoding import request_decoding
from server.rpc.middleware.encoding import reply_encoding
from server.rpc.middleware.errors import error_status
from server.rpc.middleware.idempotency import Idempotency
from server.rpc.middleware.live_sessions import LiveSessions
from server.rpc.middleware.logging import call_logging
from server.rpc.middleware.ownership import Owners, Ownership
from server.rpc.middleware.tracing import CallTracing
from server.rpc.middleware.user_limits import UserLimits
from server.rpc.rate_limiter import RateLimiter
from server.rpc.unknown import UnknownMethods
from server.security.encryption import Vault
from server.security.ring import KeyRing
from server.startup import keyed_secrets_of, keys_of, prepare
from server.storage import driver
from server.storage.audit import AuditTrail, Codes
from server.storage.cache_feed import CacheFeed
from server.storage.changes import RecordedChanges
from server.storage.counters import Counters
from server.storage.errors import translate
from server.storage.idempotency import IdempotencyStore
from server.storage.leases import Leases
from server.storage.rollup import CounterRollup

_log = structlog.stdlib.get_logger("finlink.app")

# Envoy asks for health each second: after two replies of NOT_SERVING it sends nothing new.
DRAIN_SECONDS = 2.5
STOP_SECONDS = 10.0
SYNC_STOP_SECONDS = 3.0
LONGEST_STOP_SECONDS = DRAIN_SECONDS + 2 * STOP_SECONDS + 5.0  # within what containers are given

_SERVER_OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_metadata_size", 32 * 1024),  # a REST call brings its path and query along
    ("grpc.absolute_max_metadata_size", 64 * 1024),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
]


async def serve(settings: Settings, listen: str | None, *, syncs: bool) -> None:
    """Run a worker until it is signalled to stop: a server on `listen`, the sync engine, or both.

    SIGTERM is for a server that others may still call, SIGINT for one that nobody calls any more;
    with either, calls under way are finished. `listen` is `unix:PATH` or `HOST:PORT`. Raises
    ConfigError where a setting is missing or the address cannot be listened on.
    """
    stop, uncalled = asyncio.Event(), asyncio.Event()

    def interrupted() -> None:
        uncalled.set()
        stop.set()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted)
    tracing = tracing_of(settings)
    worker = running_worker(settings, listen, syncs=syncs, uncalled=uncalled)
    async with serving_own_metrics(settings), worker:
        # Objects that exist by now stay: searching them for garbage again and again stops calls for 40 ms.
        gc.collect()
        gc.freeze()
        _log.info("worker serving", listen=listen, syncs=syncs)
        await stop.wait()
        _log.info("worker draining")
        end_at_last(LONGEST_STOP_SECONDS)
    if tracing is not None:
        await asyncio.to_thread(tracing.close)
    _log.info("worker stopped")


def end_at_last(seconds: float) -> None:
    """Whatever hangs until then, as on a MongoDB that is gone, does not keep the process alive."""
    end = threading.Timer(seconds, os._exit, [1])
    end.daemon = True
    end.start()


def tracing_of(settings: Settings) -> Tracing | None:
    endpoint = settings.otel_exporter_otlp_endpoint
    tracing = Tracing(endpoint, settings.trace_percent / 100) if endpoint else None
    enter_tracing(tracing)
    return tracing


@asynccontextmanager
async def serving_own_metrics(settings: Settings) -> AsyncIterator[None]:
    """Serves what this process counts, where a port is set. Raises ConfigError."""
    if not settings.metrics_port:
        yield
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(serving_metrics(settings.metrics_host, settings.metrics_port))
        except OSError as error:
            raise ConfigError(
                f"METRICS_PORT, METRICS_HOST: cannot listen on {settings.metrics_host}:"
                f"{settings.metrics_port} ({error.strerror}); the address must be one of this machine, "
                "and each process of it needs a port of its own, or 0 for none"
            ) from None
        yield


@asynccontextmanager
async def running_worker(
    settings: Settings, listen: str | None, *, syncs: bool, uncalled: asyncio.Event
) -> AsyncIterator[None]:
    """A gRPC server with every domain, and the sync engine; on leaving, both end what they began.

    Until `uncalled` is set the server gives its callers time to notice that it leaves.
    """
    keys = settings.of(KeySettings).ring
    if not keys:
        raise ConfigError("ENCRYPTION_KEY: must be set; `openssl rand -hex 32` makes one")
    ring = KeyRing(keys)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(driver.connected(settings))
        await prepare(database, settings)
        generations = _generations(settings)
        secrets = await keyed_secrets_of(database, ring)
        leases = Leases(database)
        trail = AuditTrail(database, Codes(secrets.audit))
        changes = RecordedChanges(database, trail, generations)
        users = UserDirectory(UserStore(database))
        deliveries = build_delivery(settings, database, secrets.deliveries, CLOCK.now)
        kernel = Kernel(
            settings, database, leases, ring, secrets, generations, trail, changes, users,
            deliveries.outbox, CLOCK,
        )  # fmt: skip
        domains = build(kernel)
        for closed in (each for parts in domains for each in parts.closed):
            stack.push_async_callback(closed)
        # The rollup reports totals to the others, so it ends first.
        background = [each for parts in domains for each in parts.background]
        for each in (deliveries, *background, _rollup(kernel, domains)):
            stack.push_async_callback(each.stop)
            each.start()

        completion = Completion()
        records = IdempotencyStore(database, leases, Vault(secrets.answers))
        cache = None
        if settings.response_cache_mb and listen is not None:
            cache = await stack.enter_async_context(_response_cache(settings, generations))
        sign_ins = next((each.sign_ins for each in domains if each.sign_ins), None)
        passed = middleware(
            Authentication(
                await keys_of(database, settings),
                sign_ins,
                users.identity,
                behalf_is_open=not settings.production,
            ),
            _user_limits(settings),
            LiveSessions(sign_ins),
            completion,
            CachedResponses(cache),
            Ownership(_owners(domains), users.role),
            Idempotency(records, secrets.requests, generations.close_one_or_all),
        )
        services = MiddlewareServices(methods_of(_service_names(*CONTRACT)), passed)
        for parts in domains:
            parts.register(cast("grpc.aio.Server", services))
        # As long as that of calls: a server that serves its calls, however slowly, is not taken out.
        timeout = settings.mongo_timeout_ms / 1000
        health = Health(_service_names(*CONTRACT), database.ping, timeout=timeout)
        server = _server(services, health)
        if listen is not None:
            # A unix socket never leaves the machine.
            tls = None if listen.startswith("unix:") else server_credentials(settings)
            await stack.enter_async_context(
                _listening(server, health, completion, domains, listen, tls, uncalled)
            )
        engines = [each for parts in domains for each in parts.engines if syncs]
        for engine in engines:
            engine.start()
        stack.push_async_callback(_stop, engines)
        yield


async def _stop(engines: Sequence[Engine]) -> None:
    await asyncio.gather(*(engine.stop(SYNC_STOP_SECONDS) for engine in engines))


def _user_limits(settings: Settings) -> UserLimits:
    """Raises ConfigError where the file cannot be shared."""
    try:
        limiter = RateLimiter(settings.user_limits_file)
    except OSError as error:
        raise ConfigError(f"USER_LIMITS_FILE: cannot be used ({error.strerror})") from None
    calls, changes = settings.user_calls_per_hour, settings.user_changes_per_hour
    return UserLimits(limiter, calls=calls, changes=changes)


def _owners(domains: Sequence[Parts]) -> dict[str, Owners]:
    return {name: owners for parts in domains for name, owners in parts.owners.items()}


def _rollup(kernel: Kernel, domains: Sequence[Parts]) -> CounterRollup:
    """The counters of each domain's documents."""
    counted = [each for parts in domains for each in parts.counted]
    reports = {each.spec.collection: each.report for each in counted}
    counters = [Counters(kernel.database, each.spec) for each in counted]
    return CounterRollup(counters, kernel.leases, lambda name, totals: reports[name](totals))


def _generations(settings: Settings) -> Generations:
    """Raises ConfigError where the file cannot be shared."""
    try:
        return Generations(settings.generations_file)
    except OSError as error:
        raise ConfigError(f"GENERATIONS_FILE: cannot be used ({error.strerror})") from None


@asynccontextmanager
async def _response_cache(
    settings: Settings, generations: Generations
) -> AsyncIterator[ResponseCache]:
    """A cache of replies, which hears of what MongoDB commits while inside."""
    cache = ResponseCache(generations.numbers, settings.response_cache_mb * 1024 * 1024)
    async with driver.connected_for_feed(settings) as database:
        feed = CacheFeed(database, cache, FOLLOWED)
        feed.start()
        try:
            yield cache
        finally:
            await feed.stop()


def middleware(
    authentication: Authentication,
    limits: UserLimits,
    sessions: LiveSessions,
    completion: Completion,
    responses: CachedResponses,
    ownership: Ownership,
    idempotency: Idempotency,
) -> list[Middleware]:
    """The middleware of every call, outermost first."""
    tracing = current_tracing()
    return [
        call_logging,
        *([] if tracing is None else [CallTracing(tracing)]),
        error_status(translate),
        authentication,
        limits,
        sessions,
        completion,
        responses.returned,
        request_decoding,
        responses.stored,
        reply_encoding,
        cast("Middleware", idempotency),
        cast("Middleware", ownership),
    ]


def _server(services: MiddlewareServices, health: Health) -> grpc.aio.Server:
    """A server of these, and of what infrastructure there is."""
    infrastructure = Services()
    health_pb2_grpc.add_HealthServicer_to_server(
        health.servicer, cast("grpc.aio.Server", infrastructure)
    )
    reflection.add_to(infrastructure, _service_names(*CONTRACT, health_pb2.DESCRIPTOR))
    # RPCs with a smaller limit refuse larger messages in their middleware, in the contract's words.
    longest = max(
        4 * 1024 * 1024, *(method.max_request_bytes for method in services.methods.values())
    )
    options = [*_SERVER_OPTIONS, ("grpc.max_receive_message_length", longest + 1024)]
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers((services, infrastructure, UnknownMethods()))
    return server


@asynccontextmanager
async def _listening(
    server: grpc.aio.Server,
    health: Health,
    completion: Completion,
    domains: Sequence[Parts],
    listen: str,
    tls: grpc.ServerCredentials | None,
    uncalled: asyncio.Event,
) -> AsyncIterator[None]:
    """Serves while inside; then says NOT_SERVING, lets Envoy notice, and ends what is under way."""
    try:
        if tls is None:
            server.add_insecure_port(listen)
        else:
            server.add_secure_port(listen, tls)
    except RuntimeError as error:
        raise ConfigError(f"cannot listen on {listen}: is it in use?") from error
    watch = asyncio.create_task(health.watch())
    await server.start()
    try:
        yield
    finally:
        while not watch.done():  # a driver may lose a cancellation
            watch.cancel()
            await asyncio.wait({watch}, timeout=1)
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await uncalled.wait()
        for close in (each for parts in domains for each in parts.closing):
            await close()  # a watcher comes back, and meets another worker
        await server.stop(STOP_SECONDS)
        await completion.drain(STOP_SECONDS)


def _service_names(*files: Any) -> list[str]:
    return [service.full_name for file in files for service in file.services_by_name.values()]
