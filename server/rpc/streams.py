"""Server streams: what a servicer yields, sent as messages over gRPC and as server-sent events over REST.

For a REST caller Envoy takes each message for a `google.api.HttpBody` (see protos/generate.py) and passes
its bytes on. The messages of every stream have a `resume_token` and a `type`, which become `id` and `event`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, TypeAlias, cast

from google.api import httpbody_pb2
from google.protobuf import json_format
from google.protobuf.message import Message

from server.errors import ApiError
from server.rpc.call import Call, Context, Handler, current_call
from server.rpc.status import rest_body

CONTENT_TYPE = "text/event-stream"
# grpc.aio takes no answer from a handler that writes messages itself.
NO_ANSWER = cast("Message", None)

Stream: TypeAlias = Callable[[Message, Context], AsyncGenerator[Message, None]]


def sending(stream: Stream) -> Handler:
    """The innermost step of a stream: sends each message the servicer yields, in the caller's form."""

    async def handle(request: Message, context: Context) -> Message:
        call = current_call()
        encode = event if call.is_rest else _message
        try:
            # Closed here and now also where the caller has gone, so that nothing of it stays behind.
            async with aclosing(stream(request, context)) as messages:
                async for message in messages:
                    call.sent += 1
                    await context.write(encode(message))
        finally:
            call.facts["events"] = call.sent
        return NO_ANSWER

    return handle


def event(message: Message) -> bytes:
    """One event as an HttpBody, serialized."""
    content = json_format.MessageToJson(
        message, indent=None, ensure_ascii=False, always_print_fields_with_no_presence=True
    )
    told = cast("Any", message)
    return _body(f"id: {told.resume_token}\nevent: {told.type}\ndata: {content}\n\n")


def error_event(error: ApiError, call: Call) -> bytes:
    """The last event of a stream that fails once it has begun; the id before it stays the newest."""
    return _body(f"event: error\ndata: {rest_body(error, call.rest_path)}\n\n")


def _message(message: Message) -> bytes:
    return message.SerializeToString()


def _body(text: str) -> bytes:
    body = httpbody_pb2.HttpBody(content_type=CONTENT_TYPE, data=text.encode())
    return bytes(body.SerializeToString())
