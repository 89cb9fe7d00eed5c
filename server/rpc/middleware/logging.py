"""Outermost: one log line a call, with its final code and how long it took; and both counted."""

import time
from typing import NamedTuple

import structlog

from server.observability.deferred_batch import DeferredBatch
from server.observability.logging import timestamp
from server.observability.metrics import CACHED_RESPONSES, CALLS
from server.rpc.call import Call, Context, Handler
from server.rpc.method import Method
from server.rpc.middleware.context import enter_call_of
from server.rpc.status import STATUSES

_log = structlog.stdlib.get_logger("finlink.rpc")


class _Ended(NamedTuple):
    method: Method
    call: Call
    seconds: float
    at: float  # POSIX


def call_logging(method: Method, inner: Handler) -> Handler:
    """Logs `call` for every call, as an error where the fault is Finlink's own."""
    path, ended = method.path, _ENDED

    async def handle(request: bytes, context: Context) -> bytes:
        call = enter_call_of(path, context)
        started = time.perf_counter()
        try:
            return await inner(request, context)
        finally:
            ended.add(_Ended(method, call, time.perf_counter() - started, time.time()))

    return handle


def _record(ended: _Ended) -> None:
    method, call, seconds, at = ended
    CALLS.labels(method.path, call.code, "rest" if call.is_rest else "grpc").observe(seconds)
    if call.cached is not None:
        CACHED_RESPONSES.labels(call.cached).inc()
    http_status = STATUSES[call.code][1] if call.code != "OK" else method.success_status
    log = _log.error if http_status == 500 else _log.info
    log(
        "call",
        method=method.path,
        http=f"{method.verb.upper()} {method.http_path}" if call.is_rest else None,
        code=call.code,
        duration_ms=round(seconds * 1000, 1),
        peer=call.peer,
        timestamp=timestamp(at),
        request_id=call.request_id,
        **call.facts,
    )


_ENDED = DeferredBatch(_record)
