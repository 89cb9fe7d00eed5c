"""Outermost: gathers the facts of a call."""

from __future__ import annotations

import re
import uuid

from google.protobuf.message import Message

from server.auditing import Actor, enter_actor
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

# Set by Envoy alone, for stubs that showed a certificate.
CLIENT_CERTIFICATE = "x-forwarded-client-cert"
MAX_TEXT = 200

_SUBJECT = re.compile(r'Subject="([^"]*)"')
_PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def call_context(method: Method, inner: Handler) -> Handler:
    """Makes the call's facts available as `current_call()`; takes a request id or makes one."""

    async def handle(request: bytes, context: Context) -> Message:
        metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
        given = metadata.get(REQUEST_ID, "")
        request_id = given if _PLAIN_ID.fullmatch(given) else str(uuid.uuid4())
        peer = metadata.get("x-forwarded-for", context.peer())
        enter_actor(
            Actor(
                "caller",
                address=peer[:MAX_TEXT],
                certificate=_subject(metadata.get(CLIENT_CERTIFICATE, "")),
                user_agent=metadata.get("user-agent", "")[:MAX_TEXT] or None,
                request_id=request_id,
            )
        )
        enter_call(
            Call(
                method=method.path,
                request_id=request_id,
                rest_target=metadata.get(ORIGINAL_PATH),
                peer=peer,
                idempotency_key=metadata.get(IDEMPOTENCY_KEY),
                last_event_id=metadata.get(LAST_EVENT_ID) or None,
                api_key=metadata.get(API_KEY),
            )
        )
        return await inner(request, context)

    return handle


def _subject(certificate: str) -> str | None:
    """The subject, as Envoy tells of a verified client certificate."""
    found = _SUBJECT.search(certificate)
    return found[1][:MAX_TEXT] if found else None
