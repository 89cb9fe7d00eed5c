"""Connectors and their rules."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from finlink_words import ConnectionStatus
from msgspec import field

from server.core.model import Id, Model

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
ABANDONED = "RUN_ABANDONED"
CANCELLED = "RUN_CANCELLED"
_BROKEN_OFF = {ABANDONED: "abandoned", CANCELLED: "cancelled"}


class DataTypeCount(Model, frozen=True):
    data_type: str
    records_count: int
    added_count: int


class Missing(Model, frozen=True):
    """A data type that a partial run did not bring, and why."""

    data_type: str
    code: str
    message: str


class HistoryEntry(Model, frozen=True):
    """A finished run."""

    synced_at: datetime
    status: str  # success, failed, partial
    records_count: int | None = None
    added_count: int | None = None
    error_message: str | None = None
    error_code: str | None = None
    sync_id: str | None = None
    started_at: datetime | None = None
    counts: tuple[DataTypeCount, ...] = ()
    missing: tuple[Missing, ...] = ()  # of a partial run

    @property
    def state(self) -> str:
        """How the run ended, in the words that runs have."""
        return _BROKEN_OFF.get(self.error_code or "", self.status)


class ErrorEntry(Model, frozen=True, kw_only=True):
    error_code: str = ""
    error_message: str = ""
    occurred_at: datetime


class Run(Model, frozen=True):
    """The run that is wanted or under way."""

    sync_id: str
    data_types: tuple[str, ...]
    requested_at: datetime
    began_at: datetime | None = None  # when it was first under way
    started_at: datetime | None = None  # when its worker took it; None while it waits for one
    done: tuple[DataTypeCount, ...] = ()  # fetched before it was deferred
    deferrals: int = 0


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


class ResponseDigest(Model, frozen=True):
    """A platform's response for a data type, as far as it decides whether it is the same as before."""

    digest: str  # of the responses
    stored: str = field(name="kept")  # the digest of the items in them
    records: int


class ConnectorSession(Model, frozen=True):
    """The session that a connector has, or had, at its platform. Secrets are sealed; see the vault."""

    id: str | None = field(name="sessionId", default=None)
    connected_at: datetime | None = None
    disconnected_at: datetime | None = None
    # Whole minutes of the last session that ended.
    ended_duration: int = field(name="sessionDuration", default=0)
    expires_at: datetime | None = field(name="tokenExpiresAt", default=None)
    refreshed_at: datetime | None = None
    generation: int = 0  # grows with every change of the session
    sealed: str | None = field(name="encryptedToken", default=None)
    # Of a login that is pending.
    sealed_login: str | None = field(name="encryptedLogin", default=None)
    platform_user_id: str | None = None
    account_type: str | None = None

    def __repr__(self) -> str:
        return f"ConnectorSession({self.id})"


class SyncState(Model, frozen=True):
    """When a connector syncs what, and how its last runs went."""

    interval: int = field(name="syncInterval", default=DEFAULT_INTERVAL)  # minutes
    data_types: tuple[str, ...] = ()
    auto: bool = True
    paused: bool = False  # the user is not active
    last_at: datetime | None = field(name="lastSyncAt", default=None)
    next_at: datetime | None = field(name="nextSyncAt", default=None)
    run: Run | None = None
    fence: int = 0  # grows with every claim of a run
    failures: int = 0  # failed runs in a row
    outages: int = 0  # runs in a row that an outage of the platform cut short
    # By data type: a digest of what was stored last, and the platform's last response.
    stored: Mapping[str, str] = field(name="kept", default_factory=dict)
    responses: Mapping[str, ResponseDigest] = field(name="answers", default_factory=dict)


class SyncTotals(Model, frozen=True):
    runs: int = field(name="total", default=0)
    successful: int = 0
    failed: int = 0
    last_success_at: datetime | None = None

    @property
    def success_rate(self) -> float:
        """Successful runs in a hundred, to one decimal; 0 without runs."""
        return round(100 * self.successful / self.runs, 1) if self.runs else 0.0


class Connector(Model, frozen=True, kw_only=True):
    """A user's connection to one platform."""

    id: Id
    user_id: str
    platform: str
    status: ConnectionStatus = field(name="connectionStatus", default="disconnected")
    permissions: tuple[str, ...] = ()
    session: ConnectorSession
    sync: SyncState
    totals: SyncTotals
    history: tuple[HistoryEntry, ...] = field(name="syncHistory", default=())
    errors: tuple[ErrorEntry, ...] = ()
    # Its last run failed or brought a part only; gone with the session.
    failing: bool = False
    records_erased: int = 0  # how often its records were erased
    created_at: datetime
    updated_at: datetime

    @property
    def records_id(self) -> str:
        """The id of its records: another one after each time that they were erased."""
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
                    entry.state,
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
class ConnectRequest:
    user_id: str
    platform: str
    permissions: Sequence[str]
    credentials: Mapping[str, str]


class ConnectorFilter(Model, frozen=True):
    """Which connectors a list or count has; None means all. Times are inclusive bounds of `connectedAt`."""

    platform: str | None = None
    status: str | None = None
    failing: bool = False  # true: only those whose syncs fail
    connected_from: datetime | None = None
    connected_to: datetime | None = None
