"""A span for each call that is traced; of the others it only looks at a flag."""

from opentelemetry.trace import SpanKind

from server.observability.tracing import Tracing, caller_context, failed
from server.rpc.call import TRACEPARENT, Context, Handler, current_call
from server.rpc.method import Method
from server.rpc.status import STATUSES

_NOT_SAMPLED = "-00"


class CallTracing:
    """Middleware inside of the one that begins the call."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracer = tracing.tracer

    def __call__(self, method: Method, inner: Handler) -> Handler:
        name = method.path.removeprefix("/")
        service, _, rpc = name.partition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": rpc}

        async def handle(request: bytes, context: Context) -> bytes:
            call = current_call()
            traceparent = call.metadata.get(TRACEPARENT, "")
            if traceparent.endswith(_NOT_SAMPLED):
                return await inner(request, context)
            parent = caller_context({TRACEPARENT: traceparent})
            with self._tracer.start_as_current_span(
                name, parent, SpanKind.SERVER, attributes,
                record_exception=False, set_status_on_exception=False,
            ) as span:  # fmt: skip
                try:
                    return await inner(request, context)
                finally:
                    if span.is_recording():
                        span.set_attribute("finlink.request_id", call.request_id)
                        span.set_attribute("finlink.code", call.code)
                        if call.code != "OK" and STATUSES[call.code][1] >= 500:
                            failed(span, call.code)

        return handle
