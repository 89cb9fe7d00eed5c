"""Connectors, wired."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from finlink.connectors.v1 import (
    connector_service_pb2,
    connector_service_pb2_grpc,
    sync_service_pb2,
    sync_service_pb2_grpc,
)

from server.core.health import HealthCheck
from server.domains.connectors import metrics
from server.domains.connectors.connections import rate_limits, store, throttle
from server.domains.connectors.connections.connecting import Connecting
from server.domains.connectors.connections.lists import ConnectorLists
from server.domains.connectors.connections.logins import LoginFlow
from server.domains.connectors.connections.logout import Logout
from server.domains.connectors.connections.rate_limits import RateLimiter, SessionLocks
from server.domains.connectors.connections.renewal import SessionRenewal
from server.domains.connectors.connections.service import ConnectorService
from server.domains.connectors.connections.session_changes import SessionChanges
from server.domains.connectors.connections.sessions import SessionVault
from server.domains.connectors.connections.store import ConnectorStore
from server.domains.connectors.connections.throttle import SUSPICION, LoginThrottle
from server.domains.connectors.errors import ConnectorNotFound
from server.domains.connectors.export import convert as export_convert
from server.domains.connectors.export.service import ConnectorExport
from server.domains.connectors.records import store as record_store
from server.domains.connectors.records.store import RecordStore
from server.domains.connectors.servicer import ConnectorServicer
from server.domains.connectors.settings import ConnectorSettings
from server.domains.connectors.sync.checks import SessionChecks
from server.domains.connectors.sync.health import SyncHealth
from server.domains.connectors.sync.reporter import OVERDUE_SECONDS, report_overdue
from server.domains.connectors.sync.runner import FAILURES, SyncRunner
from server.domains.connectors.sync.service import SyncService
from server.domains.connectors.sync.servicer import SyncServicer
from server.domains.connectors.sync.store import SyncStore
from server.domains.connectors.trends import store as trend_store
from server.domains.connectors.trends.recorder import TrendRecorder
from server.domains.connectors.trends.store import TrendStore
from server.domains.connectors.watch.changes import PIPELINE, change_of
from server.jobs.scheduler import JobScheduler
from server.kernel import Counted, Domain, Kernel, Parts
from server.platforms.building import build_platforms
from server.rpc.middleware.ownership import Owners
from server.storage.background import Background
from server.storage.counter_spec import Values
from server.storage.data_keys import DataKeyStore
from server.streaming.source import ChangeSource
from server.streaming.watches import Watches

CHECK_SECONDS = 2.0  # between two looks for sessions to check
ERASE_SECONDS = 5.0  # between two looks for records of removed connectors


def build(kernel: Kernel, _: Sequence[Parts]) -> Parts:
    database, changes, leases = kernel.database, kernel.changes, kernel.leases
    connectors = ConnectorStore(database)
    syncs = SyncStore(database)
    records = RecordStore(database)
    sessions = SessionVault(DataKeyStore(database, kernel.ring))
    platforms = build_platforms(
        kernel.settings,
        kernel.secrets.user_ids,
        lambda name, spacing: RateLimiter(database, name, spacing).reserve,
        lambda name: SessionLocks(leases, f"session/{name}").acquire,
    )
    metrics.show_zeros(platforms, FAILURES, SUSPICION)
    session_changes = SessionChanges(changes, connectors, sessions)
    logout = Logout(sessions, platforms)
    logins = LoginFlow(
        session_changes,
        connectors,
        sessions,
        LoginThrottle(database, kernel.trail),
        logout,
        platforms,
    )
    renewal = SessionRenewal(
        session_changes, connectors, leases, sessions, logins, logout, platforms
    )
    trends = TrendStore(database)
    recorder = TrendRecorder(trends)
    runner = SyncRunner(changes, connectors, syncs, records, renewal, recorder)
    checks = SessionChecks(syncs, renewal)
    health = SyncHealth(syncs, trends, kernel.clock)
    concurrency = kernel.settings.of(ConnectorSettings).sync_concurrency
    scheduler = JobScheduler("syncs", syncs, runner.run, concurrency)
    connecting = Connecting(
        changes,
        connectors,
        leases,
        sessions,
        logins,
        logout,
        platforms,
        kernel.users,
        scheduler.wake,
    )
    service = ConnectorService(
        changes, connectors, ConnectorLists(database), records, sessions, renewal, logout, kernel.users,
        scheduler.wake,
    )  # fmt: skip
    source = ChangeSource(database, store.CONNECTORS, PIPELINE, change_of, kernel.generations.close)
    watches = Watches(source, kernel.users.is_active)

    sync_service = SyncService(changes, connectors, syncs, records, sessions, scheduler.wake)

    def register(server: Any) -> None:
        sync_service_pb2_grpc.add_SyncServiceServicer_to_server(SyncServicer(sync_service), server)
        connector_service_pb2_grpc.add_ConnectorServiceServicer_to_server(
            ConnectorServicer(connecting, service, sync_service, watches, trends), server
        )

    return Parts(
        register=register,
        background=[
            recorder,
            Background("look for overdue syncs", partial(report_overdue, syncs), OVERDUE_SECONDS),
        ],
        engines=[
            scheduler,
            Background("check sessions", checks.check_some, CHECK_SECONDS),
            Background("erase records", records.erase_some, ERASE_SECONDS),
        ],
        closing=[watches.hub.close],
        closed=[platform.aclose for platform in platforms.values()],
        dependents=[service],
        exporters=[ConnectorExport(connectors, records)],
        exported=export_convert.EXPORTED,
        counted=[Counted(store.COUNTED, partial(_report, recorder))],
        checks=[HealthCheck("jobs", health.jobs), HealthCheck("platforms", health.platforms)],
        owners={"connector_id": Owners(connectors.user_of, ConnectorNotFound)},
    )


def _report(recorder: TrendRecorder, totals: Mapping[Values, int]) -> None:
    """To Prometheus and the trends. A connector without a status counts as `disconnected`."""
    counts: Counter[tuple[str, str]] = Counter()
    failing: Counter[str] = Counter()
    for (platform, status, fails), count in totals.items():
        counts[str(platform), str(status or "disconnected")] += count
        failing[str(platform)] += count if fails else 0
    for labels, count in counts.items():
        metrics.CONNECTORS.labels(*labels).set(count)
    for of_platform, count in failing.items():
        metrics.FAILING.labels(of_platform).set(count)
    recorder.connections(counts)


DOMAIN = Domain(
    contract=[connector_service_pb2.DESCRIPTOR, sync_service_pb2.DESCRIPTOR],
    build=build,
    indexes=lambda _: {
        **store.INDEXES, **record_store.INDEXES, **trend_store.INDEXES, **rate_limits.INDEXES,
        **throttle.INDEXES,
    },
    retired=store.RETIRED,
    images=[store.CONNECTORS],
    followed=[store.FOLLOWED],
)  # fmt: skip
