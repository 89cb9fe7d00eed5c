"""Server streams: what a servicer yields, sent as messages over gRPC and as text over REST.

For a REST caller Envoy takes each message for a `google.api.HttpBody` (see codegen/envoy.py) and passes
its bytes on. Which text that is the contract says for each RPC: server-sent events, whose messages have
a `resume_token` and a `type` that become `id` and `event`, or JSON lines.
"""

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import grpc
from finlink.rules.v1 import rules_pb2
from google.protobuf import json_format
from google.protobuf.message import Message

from server.core.errors import ApiError
from server.rpc import status
from server.rpc.call import Call, Context, Handler, current_call
from server.rpc.json_form import http_body
from server.rpc.method import Method

# grpc.aio takes no reply from a handler that writes messages itself.
NO_REPLY = cast("bytes", None)

Stream: TypeAlias = Callable[[Message, Context], AsyncGenerator[Message, None]]


@dataclass(frozen=True)
class Form:
    """How REST callers get a stream: the text of a message, and of an error, given as JSON."""

    content_type: str
    message: Callable[[Message], str]
    error: Callable[[str], str]


def _event(message: Message) -> str:
    event = cast("Any", message)
    return f"id: {event.resume_token}\nevent: {event.type}\ndata: {_json(message)}\n\n"


def _error_event(error: str) -> str:
    """The id before it stays the newest."""
    return f"event: error\ndata: {error}\n\n"


def _line(message: Message) -> str:
    """In ASCII, as Unicode has line ends of its own."""
    return _json(message, ensure_ascii=True) + "\n"


def _json(message: Message, *, ensure_ascii: bool = False) -> str:
    return json_format.MessageToJson(
        message, indent=None, ensure_ascii=ensure_ascii, always_print_fields_with_no_presence=True
    )


FORMS: Mapping[int, Form] = {
    rules_pb2.STREAM_FORM_SERVER_SENT_EVENTS: Form("text/event-stream", _event, _error_event),
    rules_pb2.STREAM_FORM_JSON_LINES: Form("application/x-ndjson", _line, "{}\n".format),
}


def sending(method: Method, stream: Stream) -> Handler:
    """Innermost in a stream: sends each message the servicer yields, in the caller's form."""

    async def handle(request: Message, context: Context) -> bytes:
        call = current_call()
        try:
            # Closed here and now also where the caller has gone, so that nothing of it stays behind.
            async with aclosing(stream(request, context)) as messages:
                async for message in messages:
                    call.sent += 1
                    await context.write(
                        rest_message(method, message)
                        if call.is_rest
                        else message.SerializeToString()
                    )
                    if call.is_head:  # the first message shows that there are others
                        break
        except grpc.aio.InternalError:  # what a write raises whose caller has gone
            call.facts["left"] = True
        finally:
            call.facts["events"] = call.sent
        return NO_REPLY

    return handle


def rest_message(method: Method, message: Message) -> bytes:
    """One message for a REST caller: an HttpBody, serialized."""
    form = FORMS[method.stream_form]
    return http_body(form.content_type, form.message(message))


def rest_error(method: Method, error: ApiError, call: Call) -> bytes:
    """The end of a stream that fails once it has begun."""
    form = FORMS[method.stream_form]
    body = json.dumps({"error": status.rest_error(error, call.rest_path)}, separators=(",", ":"))
    return http_body(form.content_type, form.error(body))
