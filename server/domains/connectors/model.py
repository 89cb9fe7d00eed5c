"""What a connector is, and the rules of one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from finlink_words import ConnectionStatus

# With these there is a session at the platform.
LIVE: tuple[ConnectionStatus, ...] = ("connected", "error")

DEFAULT_INTERVAL = 5  # minutes
MAX_INTERVAL = timedelta(minutes=60)
FAILURES_TO_ERROR = 5
HISTORY_KEPT = 50
ERRORS_KEPT = 20
EXPIRES_SOON = timedelta(minutes=10)
REFRESH_REUSE = timedelta(seconds=10)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class DataTypeCount:
    data_type: str
    records: int
    added: int


@dataclass(frozen=True, slots=True)
class Missing:
    """A data type that a partial run did not bring, and why."""

    data_type: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A finished run."""

    synced_at: datetime
    status: str  # success, failed, partial
    records_count: int | None = None
    added_count: int | None = None
    error_message: str | None = None
    error_code: str | None = None
    sync_id: str | None = None
    started_at: datetime | None = None
    counts: Sequence[DataTypeCount] = ()
    missing: Sequence[Missing] = ()  # of a partial run


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    code: str
    message: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """The run that is wanted or under way."""

    sync_id: str
    data_types: tuple[str, ...]
    requested_at: datetime
    began_at: datetime | None = None  # when it was first under way
    started_at: datetime | None = None  # when its worker took it; None while it waits for one
    done: tuple[DataTypeCount, ...] = ()  # fetched before it was deferred
    deferrals: int = 0


ABANDONED = "RUN_ABANDONED"
CANCELLED = "RUN_CANCELLED"
_BROKEN_OFF = {ABANDONED: "abandoned", CANCELLED: "cancelled"}


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as callers see it."""

    sync_id: str
    state: str  # in_progress, deferred, success, partial, failed, cancelled, abandoned
    started_at: datetime | None = None
    finished_at: datetime | None = None
    counts: Sequence[DataTypeCount] = ()
    error_code: str | None = None
    error_message: str | None = None
    missing: Sequence[Missing] = ()  # of a partial run

    @property
    def finished(self) -> bool:
        return self.finished_at is not None


@dataclass(frozen=True, slots=True)
class ResponseDigest:
    """What a platform responded for a data type, as far as it matters for whether it says the same."""

    digest: str  # of the responses
    stored: str  # the digest of the items in them
    records: int


@dataclass(frozen=True, slots=True)
class ConnectorSession:
    """The session that a connector has, or had, at its platform. Secrets are sealed; see the vault."""

    id: str | None
    connected_at: datetime | None
    disconnected_at: datetime | None
    ended_duration: int  # whole minutes of the last session that ended
    expires_at: datetime | None
    refreshed_at: datetime | None
    generation: int  # grows with every change of the session
    sealed: str | None = field(repr=False)
    sealed_login: str | None = field(repr=False)  # a login that is pending
    platform_user_id: str | None
    account_type: str | None


@dataclass(frozen=True, slots=True)
class SyncState:
    """When a connector syncs what, and how its last runs went."""

    interval: int  # minutes
    data_types: tuple[str, ...]
    auto: bool
    paused: bool  # the user is not active
    last_at: datetime | None
    next_at: datetime | None
    run: Run | None
    fence: int  # grows with every claim of a run
    failures: int  # failed runs in a row
    outages: int  # runs in a row that an outage of the platform cut short
    stored: Mapping[str, str]  # by data type: a digest of what was stored last
    responses: Mapping[str, ResponseDigest]  # by data type: the platform's last response


@dataclass(frozen=True, slots=True)
class SyncTotals:
    runs: int
    successful: int
    failed: int
    last_success_at: datetime | None

    @property
    def success_rate(self) -> float:
        """Successful runs in a hundred, to one decimal; 0 without runs."""
        return round(100 * self.successful / self.runs, 1) if self.runs else 0.0


@dataclass(frozen=True, slots=True)
class Connector:
    """A user's connection to one platform."""

    id: str
    user_id: str
    platform: str
    status: ConnectionStatus
    permissions: tuple[str, ...]
    session: ConnectorSession
    sync: SyncState
    totals: SyncTotals
    history: tuple[HistoryEntry, ...]
    errors: tuple[ErrorEntry, ...]
    records_erased: int  # how often its records were erased
    created_at: datetime
    updated_at: datetime

    @property
    def records_id(self) -> str:
        """What its records are kept under: another id after each time that they were erased."""
        return f"{self.id}.{self.records_erased}" if self.records_erased else self.id

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def login_pending(self) -> bool:
        return not self.live and self.session.sealed_login is not None

    @property
    def last_sync_id(self) -> str | None:
        return self.history[0].sync_id if self.history else None

    def run_state(self, sync_id: str) -> RunState | None:
        """The run under way, or one the history still has."""
        if self.sync.run is not None and self.sync.run.sync_id == sync_id:
            waits = self.sync.run.started_at is None and self.sync.run.deferrals > 0
            state = "deferred" if waits else "in_progress"
            return RunState(sync_id, state, self.sync.run.began_at, counts=self.sync.run.done)
        for entry in self.history:
            if entry.sync_id == sync_id:
                return RunState(
                    sync_id,
                    _BROKEN_OFF.get(entry.error_code or "", entry.status),
                    entry.started_at,
                    entry.synced_at,
                    entry.counts,
                    entry.error_code,
                    entry.error_message,
                    entry.missing,
                )
        return None

    def expires_soon(self, now: datetime) -> bool:
        """Whether the session is about to end, as far as is known."""
        return (
            self.live
            and self.session.expires_at is not None
            and self.session.expires_at - now <= EXPIRES_SOON
        )

    def session_duration(self, now: datetime) -> int:
        """Whole minutes: up to now while connected, of the last session after."""
        if self.live and self.session.connected_at is not None:
            return whole_minutes(now - self.session.connected_at)
        return self.session.ended_duration

    def summary_until(self, now: datetime) -> float:
        """When a summary of it, made now, is no longer right by itself (seconds, POSIX)."""
        until = math.inf
        if self.live and self.session.connected_at is not None:
            past = max(now - self.session.connected_at, timedelta(0))
            next_minute = now - past % _MINUTE + _MINUTE
            until = next_minute.timestamp()
        if self.live and self.session.expires_at is not None and not self.expires_soon(now):
            until = min(until, (self.session.expires_at - EXPIRES_SOON).timestamp())
        return until

    def estimated_duration(self) -> str:
        """For people: how long a run will take, judged by the last one that brought data."""
        for entry in self.history:
            if entry.started_at is not None and entry.status != "failed":
                taken = entry.synced_at - entry.started_at
                if taken < timedelta(minutes=1):
                    return "less than a minute"
                return "1-2 minutes" if taken < timedelta(minutes=2) else "2-5 minutes"
        return "2-5 minutes"


def whole_minutes(duration: timedelta) -> int:
    return max(0, int(duration.total_seconds() // 60))


@dataclass(frozen=True, slots=True)
class ConnectorFilter:
    """Which connectors a list or count has; None means all. Times are inclusive bounds of `connectedAt`."""

    platform: str | None = None
    status: str | None = None
    connected_from: datetime | None = None
    connected_to: datetime | None = None
