"""One log line a call, with its final code and how long it took; and both counted."""

from __future__ import annotations

import time

import structlog
from google.protobuf.message import Message

from server.observability.logging import request_id
from server.observability.metrics import CALLS
from server.rpc.call import Context, Handler, current_call
from server.rpc.method import Method
from server.rpc.status import STATUSES

_log = structlog.stdlib.get_logger("finlink.rpc")


def call_logging(method: Method, inner: Handler) -> Handler:
    """Logs `call` for every call, as an error where the fault is Finlink's own."""
    path, http, success = (
        method.path,
        f"{method.verb.upper()} {method.http_path}",
        method.success_status,
    )

    async def handle(request: bytes, context: Context) -> Message:
        call = current_call()
        request_id.set(call.request_id)
        started = time.perf_counter()
        try:
            return await inner(request, context)
        finally:
            seconds = time.perf_counter() - started
            CALLS.labels(path, call.code, "rest" if call.is_rest else "grpc").observe(seconds)
            http_status = STATUSES[call.code][1] if call.code != "OK" else success
            log = _log.error if http_status == 500 else _log.info
            log(
                "call",
                method=path,
                http=http if call.is_rest else None,
                code=call.code,
                duration_ms=round(seconds * 1000, 1),
                peer=call.peer,
                **call.facts,
            )

    return handle
