"""Traces, where OTEL_EXPORTER_OTLP_ENDPOINT is set; without it nothing here does anything.

Spans carry names of the contract and of platforms' calls, ids of requests, and kinds of errors: never
the text of an exception, which may have in it what was stored or sent.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

NO_SPAN: Span = NonRecordingSpan(trace.INVALID_SPAN_CONTEXT)
_PROPAGATOR = TraceContextTextMapPropagator()


class Tracing:
    """Makes the spans of one process. `None` in its place is no tracing."""

    def __init__(self, endpoint: str, ratio: float) -> None:
        """`endpoint`: an OTLP collector's gRPC port, `http://HOST:PORT`; https is with TLS.

        `ratio`: of what begins here, the part that is traced; what was begun elsewhere is traced
        where it says so.
        """
        # A process that traces nothing is 3.5 MB smaller without.
        from server.observability.exporting import provider_to  # noqa: PLC0415

        self._provider = provider_to(endpoint, ratio)
        self.tracer: Tracer = self._provider.get_tracer("finlink")

    def close(self) -> None:
        """Send what is left; waits for the collector for a few seconds at most."""
        self._provider.shutdown()


_current: Tracing | None = None


def enter_tracing(tracing: Tracing | None) -> None:
    global _current  # noqa: PLW0603 - as the process's log, one for all layers
    _current = tracing


def current_tracing() -> Tracing | None:
    return _current


def caller_context(headers: Mapping[str, str]) -> Context:
    """The trace that a call is part of, by its `traceparent`."""
    return _PROPAGATOR.extract(headers)


@contextmanager
def client_span(name: str, attributes: Mapping[str, str]) -> Iterator[Span]:
    """A span around a call to somebody else, as part of what is being traced."""
    if _current is None:
        yield NO_SPAN
        return
    with _current.tracer.start_as_current_span(
        name,
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            failed(span, type(error).__name__)
            raise


def failed(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))
