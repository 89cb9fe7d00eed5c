"""The servicer's reply becomes bytes: JSON for a REST caller, else the message as it is."""

from typing import cast

from google.protobuf.message import Message

from server.rpc import envelope
from server.rpc.call import Context, Handler, Serving, current_call
from server.rpc.json_form import json_writer
from server.rpc.method import Method


def reply_encoding(method: Method, inner: Handler) -> Handler:
    """Streams are encoded message by message, see `rpc/streams.py`."""
    if method.streams:
        return inner
    serve = cast("Serving", inner)
    write = None if method.returns_raw_body else json_writer(method.descriptor.output_type)

    async def handle(request: Message, context: Context) -> bytes:
        reply = await serve(request, context)
        call = current_call()
        if write is not None and call.is_rest:
            return envelope.reply(write(reply), success=not call.fails)
        return reply.SerializeToString()

    return handle
