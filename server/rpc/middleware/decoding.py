"""Innermost: raw bytes become a valid request message, or every wrong field is named."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from server.core.errors import InvalidRequest, PayloadTooLarge
from server.rpc.call import Context, Handler, current_call
from server.rpc.http_binding import HttpBinding
from server.rpc.method import Method
from server.rpc.validation import Validation


def request_decoding(method: Method, inner: Handler) -> Handler:
    """Decodes, binds what REST sent, and validates by the contract's rules."""
    binding = HttpBinding(method)
    validation = Validation(method.request)
    request_class, most = method.request_class, method.max_request_bytes

    async def handle(raw: bytes, context: Context) -> bytes:
        call = current_call()
        if len(raw) > most and not call.is_rest:
            raise PayloadTooLarge(f"The request is larger than {most >> 10} KiB")
        message = request_class()
        try:
            message.MergeFromString(raw)
        except (DecodeError, UnicodeDecodeError):
            raise InvalidRequest(
                f"The request is not a valid {method.request.full_name} message"
                if not call.is_rest
                else "The path is not valid UTF-8"
            ) from None
        wrong = binding.bind(message, call.rest_query) if call.is_rest else []
        if method.is_resumed and call.is_rest and call.last_event_id is not None:
            # A browser repeats its first URL, old token included, and says here how far it came.
            message.resume_token = call.last_event_id  # type: ignore[attr-defined]
        named = {entry.field for entry in wrong}
        wrong += [entry for entry in validation.check(message) if entry.field not in named]
        if wrong:
            raise InvalidRequest(fields=wrong)
        return await inner(message, context)

    return handle
