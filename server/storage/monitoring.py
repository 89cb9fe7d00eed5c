"""The driver's events about its commands and connections: counted, and recorded as spans of traces."""

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind
from pymongo import monitoring

from server.observability import metrics
from server.observability.deferred_batch import DeferredBatch
from server.observability.tracing import current_tracing, failed


def _count_command(ended: tuple[str, str, float]) -> None:
    name, outcome, seconds = ended
    metrics.MONGODB_COMMANDS.labels(name, outcome).observe(seconds)


def _count_use(waited: float | None) -> None:
    """A connection was taken after so many seconds, or given back."""
    if waited is None:
        metrics.MONGODB_IN_USE.dec()
    else:
        metrics.MONGODB_IN_USE.inc()
        metrics.MONGODB_WAITS.observe(waited)


_COMMANDS = DeferredBatch(_count_command)
_POOL = DeferredBatch(_count_use)


class Commands(monitoring.CommandListener):
    """Counts commands, and makes spans of those that something traced gives."""

    def __init__(self) -> None:
        self._spans: dict[int, Span] = {}

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        tracing = current_tracing()
        if tracing is None or not trace.get_current_span().is_recording():
            return
        name = event.command_name
        collection = event.command.get(name)
        self._spans[event.request_id] = tracing.tracer.start_span(
            f"mongodb {name}",
            kind=SpanKind.CLIENT,
            attributes={
                "db.system.name": "mongodb",
                "db.operation.name": name,
                "db.collection.name": collection if isinstance(collection, str) else "",
            },
        )

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        self._ended(event, "ok")

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        self._ended(event, "failed")

    def _ended(
        self, event: monitoring.CommandSucceededEvent | monitoring.CommandFailedEvent, outcome: str
    ) -> None:
        seconds = event.duration_micros / 1e6
        _COMMANDS.add((event.command_name, outcome, seconds))
        span = self._spans.pop(event.request_id, None)
        if span is not None:
            if outcome != "ok":
                failed(span, "CommandFailed")
            span.end()


class Connections(monitoring.ConnectionPoolListener):
    """Counts connections, and how long one was waited for."""

    def connection_created(self, event: monitoring.ConnectionCreatedEvent) -> None:
        metrics.MONGODB_CONNECTIONS.inc()

    def connection_closed(self, event: monitoring.ConnectionClosedEvent) -> None:
        metrics.MONGODB_CONNECTIONS.dec()

    def connection_checked_out(self, event: monitoring.ConnectionCheckedOutEvent) -> None:
        _POOL.add(event.duration or 0.0)

    def connection_check_out_failed(self, event: monitoring.ConnectionCheckOutFailedEvent) -> None:
        # Who stops waiting has waited longest.
        metrics.MONGODB_WAITS.observe(event.duration or 0)

    def connection_checked_in(self, event: monitoring.ConnectionCheckedInEvent) -> None:
        _POOL.add(None)

    # The other events say nothing that these do not.
    def _ignore(self, event: object) -> None: ...

    pool_created = pool_ready = pool_cleared = pool_closed = _ignore
    connection_ready = connection_check_out_started = _ignore
