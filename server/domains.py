"""The domains, wired: the only place that picks classes. A new domain comes in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, cast

import grpc
from finlink.audit.v1 import audit_service_pb2, audit_service_pb2_grpc
from finlink.connectors.v1 import connector_service_pb2, connector_service_pb2_grpc
from finlink.users.v1 import user_service_pb2, user_service_pb2_grpc

from server.audit import convert as audit_convert
from server.audit.sealer import Sealer
from server.audit.service import AuditService
from server.audit.servicer import AuditServicer
from server.audit.suspicions import RULES
from server.config import Settings
from server.connectors import export_convert
from server.connectors import servicer as connector_servicer
from server.connectors import store as connector_store
from server.connectors.budgets import Budget, Turns
from server.connectors.errors import InvalidCredentials, PlatformNotAvailable
from server.connectors.export import ConnectorExport
from server.connectors.lists import ConnectorLists
from server.connectors.logins import Logins
from server.connectors.platforms.base import Platform
from server.connectors.platforms.registry import build_platforms
from server.connectors.refusals import SUSPICION, RefusedLogins
from server.connectors.service import ConnectorService
from server.connectors.servicer import ConnectorServicer
from server.connectors.sessions import SessionVault
from server.connectors.store import ConnectorStore
from server.connectors.sync.overdue import Overdue
from server.connectors.sync.records import RecordStore
from server.connectors.sync.renewals import SessionRenewals
from server.connectors.sync.runner import FAILURES, SyncRunner
from server.connectors.sync.scheduler import SyncScheduler
from server.connectors.sync.service import SyncService
from server.connectors.sync.store import SyncStore
from server.connectors.trends.recorder import TrendRecorder
from server.connectors.trends.service import TrendService
from server.connectors.trends.store import TrendStore
from server.connectors.watch.hub import Hub
from server.connectors.watch.service import WatchService
from server.connectors.watch.store import ConnectorChanges
from server.observability import metrics
from server.preparation import Secrets
from server.rpc.middleware import SteppedServices
from server.security.ring import KeyRing
from server.storage import driver
from server.storage.audit import AuditTrail, Codes
from server.storage.changes import RecordedChanges
from server.storage.claims import Claims
from server.storage.data_keys import DataKeyStore
from server.storage.folding import Folder
from server.storage.generations import Generations
from server.storage.tallies import Tallies, Values
from server.users import servicer as user_servicer
from server.users import store as user_store
from server.users.directory import UserDirectory
from server.users.service import UserService
from server.users.servicer import UserServicer
from server.users.store import UserStore

# Zerodha allows 10 calls in any second of one app. 11 of them then take 1.2 seconds, which leaves 0.05
# for setting out late (see budgets.py) and 0.15 for a way there that takes longer for some.
KITE_SPACING = timedelta(milliseconds=120)

# Every service of the contract.
CONTRACT: tuple[Any, ...] = (
    user_service_pb2.DESCRIPTOR,
    connector_service_pb2.DESCRIPTOR,
    audit_service_pb2.DESCRIPTOR,
)


# What those answers are made of.
FOLLOWED = (user_store.FOLLOWED, connector_store.FOLLOWED)
# The RPCs whose answers are kept, by path, with the field that names the user.
CACHED: Mapping[str, str] = {
    f"/{service}/{method}": user_id
    for service, cached in (
        ("finlink.users.v1.UserService", user_servicer.CACHED),
        ("finlink.connectors.v1.ConnectorService", connector_servicer.CACHED),
    )
    for method, user_id in cached.items()
}


@dataclass(frozen=True)
class Domains:
    """What the domains are made of, wired."""

    platforms: Mapping[str, Platform]
    users: UserService
    connectors: ConnectorService
    syncs: SyncService
    watches: WatchService
    trends: TrendService
    audit: AuditService
    hub: Hub
    scheduler: SyncScheduler
    sealer: Sealer
    folder: Folder
    overdue: Overdue
    recorder: TrendRecorder

    def register(self, services: SteppedServices) -> None:
        server = cast("grpc.aio.Server", services)
        exported: Mapping[str, Callable[[Any], user_service_pb2.ExportUserResponse]] = {
            **export_convert.EXPORTED,
            "audit_event": audit_convert.exported,
        }
        user_service_pb2_grpc.add_UserServiceServicer_to_server(
            UserServicer(self.users, exported), server
        )
        connector_service_pb2_grpc.add_ConnectorServiceServicer_to_server(
            ConnectorServicer(self.connectors, self.syncs, self.watches, self.trends), server
        )
        audit_service_pb2_grpc.add_AuditServiceServicer_to_server(AuditServicer(self.audit), server)


def build(
    settings: Settings,
    database: driver.Database,
    claims: Claims,
    ring: KeyRing,
    secrets: Secrets,
    generations: Generations,
) -> Domains:
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
    platforms = build_platforms(settings, secrets.user_ids, kite_budget.reserve, fi_turns.hold)
    _begin_at_zero(platforms)
    refused = RefusedLogins(database, trail)
    logins = Logins(changes, connectors, claims, sessions, refused, platforms)
    trends = TrendStore(database)
    recorder = TrendRecorder(trends)
    runner = SyncRunner(changes, connectors, syncs, records, logins, recorder)
    renewals = SessionRenewals(syncs, logins)
    scheduler = SyncScheduler(syncs, records, renewals, runner, settings.sync_concurrency)
    connector_service = ConnectorService(
        changes,
        connectors,
        ConnectorLists(database),
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
    return Domains(
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
        trends=TrendService(trends),
        audit=audit_service,
        hub=hub,
        scheduler=scheduler,
        sealer=Sealer(trail, claims),
        overdue=Overdue(syncs),
        folder=Folder(
            [Tallies(database, tally) for tally in (connector_store.TALLY, user_store.TALLY)],
            claims,
            partial(_counted, recorder),
        ),
        recorder=recorder,
    )


def _counted(recorder: TrendRecorder, collection: str, totals: Mapping[Values, int]) -> None:
    """Tell Prometheus how many there are, and trends how many connectors.

    One without a status counts as what it is taken for.
    """
    gauge, without = {
        connector_store.CONNECTORS: (metrics.CONNECTORS, "disconnected"),
        user_store.USERS: (metrics.USERS, "active"),
    }[collection]
    counts: Counter[tuple[str, ...]] = Counter()
    for values, count in totals.items():
        counts[tuple(str(value or without) for value in values)] += count
    for labels, count in counts.items():
        gauge.labels(*labels).set(count)
    if collection == connector_store.CONNECTORS:
        recorder.connections({(platform, status): n for (platform, status), n in counts.items()})


def _begin_at_zero(platforms: Iterable[str]) -> None:
    """Show from the start what may come: Prometheus sees no rise in a series that begins with its
    first event, so nobody would be told of that one."""
    for action in (SUSPICION, *(rule.tells for rule in RULES)):
        metrics.SUSPICIOUS.labels(action)
    refused = (InvalidCredentials.code, PlatformNotAvailable.code)
    for platform in platforms:
        for outcome in ("connected", "login_required", *refused):
            metrics.CONNECTS.labels(platform, outcome)
        for status, code in (("success", ""), *(("failed", code) for code in FAILURES)):
            metrics.SYNC_RUNS.labels(platform, status, code)
        for metric in metrics.BY_PLATFORM:
            metric.labels(platform)
