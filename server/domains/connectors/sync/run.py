"""One sync run while a worker has it."""

from dataclasses import dataclass, field

from server.core.clock import utc_now
from server.domains.connectors.model import (
    Connector,
    DataTypeCount,
    ErrorEntry,
    HistoryEntry,
    Missing,
    ResponseDigest,
    Run,
)
from server.domains.connectors.sync.reporter import RunReporter
from server.jobs.queue import Job
from server.platforms.base import PermissionRefused, PlatformError, PlatformUnavailable


@dataclass(slots=True)
class SyncRun:
    """A run: its connector, and its results so far."""

    job: Job[Connector]
    run: Run
    report: RunReporter
    counts: list[DataTypeCount]
    # By data type, brought in part or not at all; the run went on.
    failures: dict[str, PlatformError] = field(default_factory=dict)
    failure: PlatformError | None = None  # of the run
    responses: dict[str, ResponseDigest] = field(default_factory=dict)  # those that are new
    noted_at: float | None = None  # when an unchanged data type was last noted, on the loop's clock

    @property
    def connector(self) -> Connector:
        return self.job.item

    @property
    def resumed(self) -> bool:
        """Whether another worker had it before; what that one stored is not known here."""
        return self.run.began_at != self.run.started_at

    def fail(self, data_type: str, error: PlatformError) -> None:
        self.failures[data_type] = error
        if self.failure is None or isinstance(error, PlatformUnavailable):
            self.failure = error

    def is_platform_away(self) -> bool:
        """Whether it has already failed to give a data type."""
        brought = {count.data_type for count in self.counts}
        return any(
            isinstance(failure, PlatformUnavailable)
            for data_type, failure in self.failures.items()
            if data_type not in brought
        )

    def done(self, *more: DataTypeCount) -> list[DataTypeCount]:
        """The data types that need not be fetched again if the run goes on later."""
        counts = [*self.counts, *more]
        return [count for count in counts if count.data_type not in self.failures]

    def missing(self) -> list[str]:
        """The data types that a later try may bring."""
        settled = {count.data_type for count in self.counts} | {
            data_type
            for data_type, failure in self.failures.items()
            if isinstance(failure, PermissionRefused)
        }
        return [data_type for data_type in self.run.data_types if data_type not in settled]

    def entry(self) -> HistoryEntry:
        """How it ends, if it ends now."""
        failure = self.failure
        status = "success" if failure is None else "partial" if self.counts else "failed"
        fetched = status != "failed"
        return HistoryEntry(
            synced_at=utc_now(),
            status=status,
            records_count=sum(count.records_count for count in self.counts) if fetched else None,
            added_count=sum(count.added_count for count in self.counts) if fetched else None,
            error_message=str(failure) if failure else None,
            error_code=failure.code if failure else None,
            sync_id=self.run.sync_id,
            started_at=self.run.began_at or self.run.started_at,
            counts=tuple(self.counts),
            missing=self._causes(failure) if failure and status == "partial" else (),
        )

    def _causes(self, failure: PlatformError) -> tuple[Missing, ...]:
        """Each for a reason of its own, or because `failure` ended the run before its turn."""
        brought = {count.data_type for count in self.done()}
        lacking = [data_type for data_type in self.run.data_types if data_type not in brought]
        causes = [(data_type, self.failures.get(data_type, failure)) for data_type in lacking]
        return tuple(Missing(data_type, cause.code, str(cause)) for data_type, cause in causes)

    def error(self, entry: HistoryEntry) -> ErrorEntry | None:
        """The part of it that is listed among the connector's errors."""
        if (failure := self.failure) is None:
            return None
        return ErrorEntry(
            error_code=failure.code, error_message=str(failure), occurred_at=entry.synced_at
        )
