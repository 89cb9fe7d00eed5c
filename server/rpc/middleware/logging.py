"""Outermost: one log line a call, with its final code and how long it took; and both counted."""

import re
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple, cast

import structlog

from server.core.events import enter_actor_of
from server.observability.deferred_batch import DeferredBatch
from server.observability.logging import request_id, timestamp
from server.observability.metrics import CACHED_RESPONSES, CALLS
from server.rpc.call import ORIGINAL_PATH, REQUEST_ID, Call, Context, Handler, enter_call
from server.rpc.method import Method
from server.rpc.status import STATUSES

_log = structlog.stdlib.get_logger("finlink.rpc")
_PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class _Ended(NamedTuple):
    method: Method
    call: Call
    seconds: float
    at: float  # POSIX


def call_logging(method: Method, inner: Handler) -> Handler:
    """Logs `call` for every call, as an error where the fault is Finlink's own."""
    path, ended = method.path, _ENDED

    async def handle(request: bytes, context: Context) -> bytes:
        call = _enter_call_of(path, context)
        started = time.perf_counter()
        try:
            return await inner(request, context)
        finally:
            ended.add(_Ended(method, call, time.perf_counter() - started, time.time()))

    return handle


def _enter_call_of(path: str, context: Context) -> Call:
    """Makes the call's facts available as `current_call()`; takes a request id or makes one."""
    # Values are texts but for keys that end in `-bin`, which nobody reads here.
    sent = context.invocation_metadata() or ()
    metadata = cast("dict[str, str]", dict(sent))
    given = metadata.get(REQUEST_ID, "")
    call = Call(
        path,
        given if _PLAIN_ID.fullmatch(given) else str(uuid.uuid4()),
        metadata.get(ORIGINAL_PATH),
        metadata.get("x-forwarded-for") or context.peer(),
        metadata,
        () if len(metadata) == len(sent) else _repeated(name for name, _ in sent),
    )
    enter_call(call)
    enter_actor_of(call.actor)
    request_id.set(call.request_id)
    return call


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


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
