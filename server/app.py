"""The composition root: builds a worker, runs it and stops it. The only place that picks classes."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import grpc
import structlog
from finlink.audit.v1 import audit_service_pb2, audit_service_pb2_grpc
from finlink.connectors.v1 import connector_service_pb2, connector_service_pb2_grpc
from finlink.users.v1 import user_service_pb2, user_service_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from server.answer_cache import AnswerCache
from server.audit import convert as audit_convert
from server.audit.sealer import Sealer
from server.audit.service import AuditService
from server.audit.servicer import AuditServicer
from server.config import ConfigError, Settings
from server.connectors import budgets, export_convert, refusals
from server.connectors import servicer as connector_servicer
from server.connectors import store as connector_store
from server.connectors.budgets import Budget, Turns
from server.connectors.export import ConnectorExport
from server.connectors.logins import Logins
from server.connectors.platforms.base import Platform
from server.connectors.platforms.registry import build_platforms
from server.connectors.refusals import RefusedLogins
from server.connectors.service import ConnectorService
from server.connectors.servicer import ConnectorServicer
from server.connectors.sessions import SessionVault
from server.connectors.store import ConnectorStore
from server.connectors.sync import records as record_store
from server.connectors.sync.records import RecordStore
from server.connectors.sync.renewals import SessionRenewals
from server.connectors.sync.runner import SyncRunner
from server.connectors.sync.scheduler import SyncScheduler
from server.connectors.sync.service import SyncService
from server.connectors.sync.store import SyncStore
from server.connectors.watch.hub import Hub
from server.connectors.watch.service import WatchService
from server.connectors.watch.store import ConnectorChanges
from server.observability.exposition import serving_metrics
from server.rpc.credentials import server_credentials
from server.rpc.health import Health
from server.rpc.interceptors.authentication import Authentication
from server.rpc.interceptors.cached_answers import CachedAnswers
from server.rpc.interceptors.completion import Completion
from server.rpc.interceptors.context import call_context
from server.rpc.interceptors.decoding import request_decoding
from server.rpc.interceptors.errors import error_status
from server.rpc.interceptors.idempotency import Idempotency
from server.rpc.interceptors.logging import call_logging
from server.rpc.method import methods_of
from server.rpc.middleware import Step, SteppedServices
from server.rpc.unknown import UnknownMethods
from server.security.encryption import Undecipherable, Vault
from server.security.ring import KeyRing, MissingKey
from server.storage import answers as answer_store
from server.storage import api_keys, audit, data_keys, driver, keyed_secrets, tallies
from server.storage import claims as claim_store
from server.storage.answers import AnswerStore
from server.storage.api_keys import ApiKeyStore, CurrentKeys
from server.storage.audit import CODES_KEY, AuditTrail, Codes
from server.storage.cache_feed import CacheFeed
from server.storage.changes import RecordedChanges
from server.storage.claims import Claims
from server.storage.data_keys import DataKeyStore
from server.storage.errors import translate
from server.storage.folding import Folder
from server.storage.generations import Generations
from server.storage.indexes import NoImages, drop_indexes, ensure_images, ensure_indexes
from server.storage.keyed_secrets import KeyedSecrets
from server.storage.tallies import Tallies
from server.users import servicer as user_servicer
from server.users import store as user_store
from server.users.directory import UserDirectory
from server.users.service import UserService
from server.users.servicer import UserServicer
from server.users.store import UserStore

_log = structlog.stdlib.get_logger("finlink.app")

# Envoy asks for health each second: after two answers of NOT_SERVING it sends nothing new.
DRAIN_SECONDS = 2.5
STOP_SECONDS = 10.0
SYNC_STOP_SECONDS = 3.0

# Zerodha allows 10 calls in any second of one app. 11 of them then take 1.2 seconds, which leaves 0.05
# for setting out late (see budgets.py) and 0.15 for a way there that takes longer for some.
KITE_SPACING = timedelta(milliseconds=120)

_SERVER_OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),  # past 64 KiB a step refuses it
    ("grpc.max_metadata_size", 32 * 1024),  # a REST call brings its path and query along
    ("grpc.absolute_max_metadata_size", 64 * 1024),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
]

# Every service of the contract. A new domain adds its file here and its servicer in `running_worker`.
CONTRACT: tuple[Any, ...] = (
    user_service_pb2.DESCRIPTOR,
    connector_service_pb2.DESCRIPTOR,
    audit_service_pb2.DESCRIPTOR,
)


# The RPCs whose answers are kept, by path, with the field that names the user.
CACHED: Mapping[str, str] = {
    f"/{service}/{method}": user_id
    for service, cached in (
        ("finlink.users.v1.UserService", user_servicer.CACHED),
        ("finlink.connectors.v1.ConnectorService", connector_servicer.CACHED),
    )
    for method, user_id in cached.items()
}


async def serve(settings: Settings, listen: str | None, *, syncs: bool) -> None:
    """Run a worker until SIGTERM or SIGINT: a server on `listen`, the sync engine, or both.

    `listen` is `unix:PATH` or `HOST:PORT`. Raises ConfigError where a setting is missing or the
    address cannot be listened on.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving_own_metrics(settings), running_worker(settings, listen, syncs=syncs):
        # What there is by now stays: looking through it for garbage again and again stops calls for 40 ms.
        gc.collect()
        gc.freeze()
        _log.info("worker serving", listen=listen, syncs=syncs)
        await stop.wait()
        _log.info("worker draining")
    _log.info("worker stopped")


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
                f"METRICS_PORT: cannot listen on {settings.metrics_host}:{settings.metrics_port} "
                f"({error.strerror}); give each process of this machine its own, or 0 for none"
            ) from None
        yield


@asynccontextmanager
async def running_worker(
    settings: Settings, listen: str | None, *, syncs: bool
) -> AsyncIterator[None]:
    """A gRPC server with every domain, and the sync engine; on leaving, both end what they began."""
    if not settings.key_ring:
        raise ConfigError("ENCRYPTION_KEY: must be set; `openssl rand -hex 32` makes one")
    ring = KeyRing(settings.key_ring)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(driver.connected(settings))
        await _prepare(database, settings)
        generations = _generations(settings)
        secrets = await _keyed_secrets(database, ring)
        claims = Claims(database)
        domains = _domains(settings, database, claims, ring, secrets, generations)
        for platform in domains.platforms.values():
            stack.push_async_callback(platform.aclose)
        stack.push_async_callback(domains.sealer.stop)
        domains.sealer.start()
        stack.push_async_callback(domains.folder.stop)
        domains.folder.start()

        completion = Completion()
        answers = AnswerStore(database, claims, Vault(secrets.answers))
        cache = None
        if settings.answer_cache_mb and listen is not None:
            cache = await stack.enter_async_context(_answer_cache(settings, generations))
        services = _services(
            Authentication(await _keys(database, settings)),
            completion,
            CachedAnswers(cache, CACHED),
            Idempotency(answers, secrets.requests, generations.close_one_or_all),
        )
        domains.register(services)
        server = _server(services)
        health = Health(_service_names(*CONTRACT), database.ping)
        health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
        if listen is not None:
            # A unix socket never leaves the machine.
            tls = None if listen.startswith("unix:") else server_credentials(settings)
            await stack.enter_async_context(
                _listening(server, health, completion, domains.hub, listen, tls)
            )
        if syncs:
            domains.scheduler.start()
            stack.push_async_callback(domains.scheduler.stop, SYNC_STOP_SECONDS)
        yield


@dataclass(frozen=True)
class _Domains:
    """What the domains are made of, wired."""

    platforms: Mapping[str, Platform]
    users: UserService
    connectors: ConnectorService
    syncs: SyncService
    watches: WatchService
    audit: AuditService
    hub: Hub
    scheduler: SyncScheduler
    sealer: Sealer
    folder: Folder

    def register(self, services: SteppedServices) -> None:
        server = cast("grpc.aio.Server", services)
        exported = {**export_convert.EXPORTED, "audit_event": audit_convert.exported}
        user_service_pb2_grpc.add_UserServiceServicer_to_server(
            UserServicer(self.users, exported), server
        )
        connector_service_pb2_grpc.add_ConnectorServiceServicer_to_server(
            ConnectorServicer(self.connectors, self.syncs, self.watches), server
        )
        audit_service_pb2_grpc.add_AuditServiceServicer_to_server(AuditServicer(self.audit), server)


def _domains(
    settings: Settings,
    database: driver.Database,
    claims: Claims,
    ring: KeyRing,
    secrets: _Secrets,
    generations: Generations,
) -> _Domains:
    trail = AuditTrail(database, Codes(secrets.audit))
    changes = RecordedChanges(database, trail, generations)
    users = UserStore(database)
    directory = UserDirectory(users)
    connectors = ConnectorStore(database)
    syncs = SyncStore(database)
    records = RecordStore(database)
    sessions = SessionVault(DataKeyStore(database, ring))
    kite_budget = Budget(database, "zerodha", KITE_SPACING)
    fi_turns = Turns(claims, "fi-session")
    platforms = build_platforms(settings, secrets.user_ids, kite_budget.take, fi_turns.hold)
    refused = RefusedLogins(database, trail)
    logins = Logins(changes, connectors, claims, sessions, refused, platforms)
    runner = SyncRunner(changes, connectors, syncs, records, logins)
    renewals = SessionRenewals(syncs, logins)
    scheduler = SyncScheduler(syncs, records, renewals, runner, settings.sync_concurrency)
    connector_service = ConnectorService(
        changes,
        connectors,
        records,
        claims,
        sessions,
        logins,
        platforms,
        directory,
        scheduler.wake,
    )
    audit_service = AuditService(trail)
    connector_changes = ConnectorChanges(database, generations.close)
    hub = Hub(connector_changes)
    return _Domains(
        platforms=platforms,
        users=UserService(
            changes,
            users,
            [connector_service],
            [ConnectorExport(connectors, records), audit_service],
        ),
        connectors=connector_service,
        syncs=SyncService(changes, connectors, syncs, records, sessions, scheduler.wake),
        watches=WatchService(connector_changes, hub, directory),
        audit=audit_service,
        hub=hub,
        scheduler=scheduler,
        sealer=Sealer(trail, claims),
        folder=Folder(
            [Tallies(database, tally) for tally in (connector_store.TALLY, user_store.TALLY)],
            claims,
        ),
    )


def _generations(settings: Settings) -> Generations:
    """Raises ConfigError where the file cannot be shared."""
    try:
        return Generations(settings.generations_file)
    except OSError as error:
        raise ConfigError(f"GENERATIONS_FILE: cannot be used ({error.strerror})") from None


@asynccontextmanager
async def _answer_cache(settings: Settings, generations: Generations) -> AsyncIterator[AnswerCache]:
    """A cache of answers, told of what MongoDB commits while inside."""
    cache = AnswerCache(generations.numbers, settings.answer_cache_mb * 1024 * 1024)
    async with driver.connected_for_feed(settings) as database:
        feed = CacheFeed(database, cache, [user_store.FOLLOWED, connector_store.FOLLOWED])
        feed.start()
        try:
            yield cache
        finally:
            await feed.stop()


async def _keys(database: driver.Database, settings: Settings) -> CurrentKeys:
    """The API keys. Raises ConfigError where production would start open."""
    keys = CurrentKeys(ApiKeyStore(database), settings.fixed_keys)
    if settings.production and not settings.allow_anonymous and not await keys.guarded():
        raise ConfigError(
            "API_KEYS: without keys anybody may call. `python -m server keys create NAME` makes "
            "one; ALLOW_ANONYMOUS=true starts without, behind something that guards it"
        )
    return keys


async def _prepare(database: driver.Database, settings: Settings) -> None:
    """Create indexes, and have images kept. Raises ConfigError where MongoDB does not answer or cannot."""
    indexes = {
        **user_store.indexes(settings.user_archive_days),
        **connector_store.INDEXES,
        **record_store.INDEXES,
        **claim_store.INDEXES,
        **answer_store.INDEXES,
        **api_keys.INDEXES,
        **audit.INDEXES,
        **data_keys.INDEXES,
        **keyed_secrets.INDEXES,
        **budgets.INDEXES,
        **refusals.INDEXES,
        **tallies.INDEXES,
    }
    try:
        await ensure_indexes(database, indexes)
        await drop_indexes(database, {**audit.RETIRED, **user_store.RETIRED})
        await ensure_images(database, [connector_store.CONNECTORS])
    except NoImages:
        raise ConfigError(
            "MONGODB_URI: watching needs MongoDB 6.0 or newer, and a user who may change collections"
        ) from None
    except Exception as error:
        if translate(error) is None:
            raise
        raise ConfigError(
            f"MONGODB_URI: MongoDB does not answer ({type(error).__name__}); is it running?"
        ) from None


@dataclass(frozen=True)
class _Secrets:
    """Keys of Finlink's own, that stay when the ring's keys are replaced."""

    user_ids: bytes
    requests: bytes
    answers: bytes
    audit: bytes


async def _keyed_secrets(database: driver.Database, ring: KeyRing) -> _Secrets:
    """Raises ConfigError for a wrong ring."""
    get = KeyedSecrets(database, ring).get
    try:
        return _Secrets(
            user_ids=await get("platform user ids"),
            requests=await get("requests of idempotency keys"),
            answers=await get("answers of idempotency keys"),
            audit=await get(CODES_KEY),
        )
    except MissingKey as error:
        raise ConfigError(f"ENCRYPTION_KEYS: {error}") from None
    except Undecipherable as error:
        raise ConfigError(
            f"ENCRYPTION_KEYS: what this database holds {error}; "
            "put back the key that had this id when it was sealed"
        ) from None


def _services(
    authentication: Authentication,
    completion: Completion,
    answers: CachedAnswers,
    idempotency: Idempotency,
) -> SteppedServices:
    """The steps every call takes, outermost first."""
    steps: list[Step] = [
        call_context,
        call_logging,
        error_status(translate),
        authentication,
        completion,
        answers.given,
        request_decoding,
        answers.kept,
        idempotency,
    ]
    return SteppedServices(methods_of(_service_names(*CONTRACT)), steps)


def _server(services: SteppedServices) -> grpc.aio.Server:
    """A server of these, and of what infrastructure there is."""
    server = grpc.aio.server(options=_SERVER_OPTIONS)
    server.add_generic_rpc_handlers((services,))
    infrastructure = [*_service_names(health_pb2.DESCRIPTOR), reflection.SERVICE_NAME]
    reflection.enable_server_reflection([*_service_names(*CONTRACT), *infrastructure], server)
    server.add_generic_rpc_handlers((UnknownMethods(),))
    return server


@asynccontextmanager
async def _listening(
    server: grpc.aio.Server,
    health: Health,
    completion: Completion,
    hub: Hub,
    listen: str,
    tls: grpc.ServerCredentials | None,
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
        await asyncio.sleep(DRAIN_SECONDS)
        await hub.close()  # whoever watches comes back, and meets another worker
        await server.stop(STOP_SECONDS)
        await completion.drain(STOP_SECONDS)


def _service_names(*files: Any) -> list[str]:
    return [service.full_name for file in files for service in file.services_by_name.values()]
