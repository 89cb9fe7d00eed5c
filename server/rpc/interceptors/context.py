"""Outermost: gathers the facts of a call."""

from __future__ import annotations

import re
import uuid
from typing import cast

from google.protobuf.message import Message

from server.auditing import enter_actor_of
from server.rpc.call import (
    API_KEY,
    IDEMPOTENCY_KEY,
    LAST_EVENT_ID,
    ORIGINAL_PATH,
    REQUEST_ID,
    TRACEPARENT,
    Call,
    Context,
    Handler,
    enter_call,
)
from server.rpc.method import Method

# Set by Envoy alone, for stubs that showed a certificate.
CLIENT_CERTIFICATE = "x-forwarded-client-cert"

_PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def call_context(method: Method, inner: Handler) -> Handler:
    """Makes the call's facts available as `current_call()`; takes a request id or makes one."""
    path = method.path

    async def handle(request: bytes, context: Context) -> Message:
        # Values are texts but for keys that end in `-bin`, which nobody reads here.
        metadata = cast("dict[str, str]", dict(context.invocation_metadata() or ()))
        given = metadata.get(REQUEST_ID, "")
        call = Call(
            method=path,
            request_id=given if _PLAIN_ID.fullmatch(given) else str(uuid.uuid4()),
            rest_target=metadata.get(ORIGINAL_PATH),
            peer=metadata.get("x-forwarded-for") or context.peer(),
            idempotency_key=metadata.get(IDEMPOTENCY_KEY),
            last_event_id=metadata.get(LAST_EVENT_ID) or None,
            api_key=metadata.get(API_KEY),
            user_agent=metadata.get("user-agent", ""),
            certificate=metadata.get(CLIENT_CERTIFICATE, ""),
            traceparent=metadata.get(TRACEPARENT, ""),
        )
        enter_call(call)
        enter_actor_of(call.actor)
        return await inner(request, context)

    return handle
