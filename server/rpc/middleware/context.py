"""The facts of a call when it arrives."""

import re
import uuid
from typing import cast

from server.core.events import enter_actor_of
from server.observability.logging import request_id
from server.rpc.call import ORIGINAL_PATH, REQUEST_ID, Call, Context, enter_call

_PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def enter_call_of(path: str, context: Context) -> Call:
    """Makes the call's facts available as `current_call()`; takes a request id or makes one."""
    # Values are texts but for keys that end in `-bin`, which nobody reads here.
    metadata = cast("dict[str, str]", dict(context.invocation_metadata() or ()))
    given = metadata.get(REQUEST_ID, "")
    call = Call(
        path,
        given if _PLAIN_ID.fullmatch(given) else str(uuid.uuid4()),
        metadata.get(ORIGINAL_PATH),
        metadata.get("x-forwarded-for") or context.peer(),
        metadata,
    )
    enter_call(call)
    enter_actor_of(call.actor)
    request_id.set(call.request_id)
    return call
