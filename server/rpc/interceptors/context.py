"""Outermost: gathers the facts of a call."""

from __future__ import annotations

import re
import uuid

from google.protobuf.message import Message

from server.rpc.call import (
    API_KEY,
    IDEMPOTENCY_KEY,
    LAST_EVENT_ID,
    ORIGINAL_PATH,
    REQUEST_ID,
    Call,
    Context,
    Handler,
    enter_call,
)
from server.rpc.method import Method

_PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def call_context(method: Method, inner: Handler) -> Handler:
    """Makes the call's facts available as `current_call()`; takes a request id or makes one."""

    async def handle(request: bytes, context: Context) -> Message:
        metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
        request_id = metadata.get(REQUEST_ID, "")
        enter_call(
            Call(
                method=method.path,
                request_id=request_id if _PLAIN_ID.fullmatch(request_id) else str(uuid.uuid4()),
                rest_target=metadata.get(ORIGINAL_PATH),
                peer=metadata.get("x-forwarded-for", context.peer()),
                idempotency_key=metadata.get(IDEMPOTENCY_KEY),
                last_event_id=metadata.get(LAST_EVENT_ID) or None,
                api_key=metadata.get(API_KEY),
            )
        )
        return await inner(request, context)

    return handle
