"""Raw bytes become a valid request message, or every wrong field is named."""

from collections.abc import AsyncIterator

from google.protobuf.message import DecodeError, Message

from server.core.errors import InvalidRequest, PayloadTooLarge
from server.rpc.call import (
    CONTENT_ENCODING,
    CONTENT_TYPE,
    LAST_EVENT_ID,
    Call,
    Context,
    Handler,
    current_call,
)
from server.rpc.handlers import NO_MESSAGE
from server.rpc.http_binding import HttpBinding
from server.rpc.method import Method
from server.rpc.validation import Validation, unnamed


class _Decoder:
    def __init__(self, method: Method) -> None:
        self._method = method
        self._binding = HttpBinding(method)
        self._validation = Validation(method.request)
        self._request_class = method.request_class

    def message(self, raw: bytes, call: Call, *, is_first: bool = True) -> Message:
        """Raises InvalidRequest. Of a raw body only the first piece comes with what else is sent."""
        message = self._request_class()
        try:
            message.MergeFromString(raw)
        except (DecodeError, UnicodeDecodeError):
            raise InvalidRequest(
                f"The request is not a valid {self._method.request.full_name} message"
                if not call.is_rest
                else "The path is not valid UTF-8"
            ) from None
        wrong = []
        if call.is_rest:
            query = call.rest_query if is_first else ""
            sent = call.metadata
            kind, coding = sent.get(CONTENT_TYPE, ""), sent.get(CONTENT_ENCODING, "")
            wrong = self._binding.bind(message, query, kind, coding)
            if self._method.is_resumed and (last_event := call.header(LAST_EVENT_ID)):
                # A browser repeats its first URL, old token included, and says here how far it came.
                message.resume_token = last_event  # type: ignore[attr-defined]
        if is_first or not self._method.takes_raw_body:
            found = self._validation.check(message, json_names=call.is_rest)
            wrong += unnamed(found, wrong) if wrong else found
        if wrong:
            raise InvalidRequest(fields=wrong)
        return message


def request_decoding(method: Method, inner: Handler) -> Handler:
    """A stream of requests is decoded message by message, as the servicer takes them."""
    decoder, limit = _Decoder(method), method.max_request_bytes
    too_large = f"The request is larger than {limit >> 10} KiB"

    async def handle(raw: bytes | None, context: Context) -> bytes:
        call = current_call()
        if raw is None:
            raise InvalidRequest(NO_MESSAGE)
        if len(raw) > limit and not call.is_rest:  # over REST Envoy counts, without path and query
            raise PayloadTooLarge(too_large)
        return await inner(decoder.message(raw, call), context)

    async def messages(raws: AsyncIterator[bytes]) -> AsyncIterator[Message]:
        call, size, is_first = current_call(), 0, True
        async for raw in raws:
            size += len(raw)
            if size > limit:
                raise PayloadTooLarge(too_large)
            yield decoder.message(raw, call, is_first=is_first)
            is_first = False

    async def handle_stream(raws: AsyncIterator[bytes], context: Context) -> bytes:
        return await inner(messages(raws), context)

    return handle_stream if method.takes_stream else handle
