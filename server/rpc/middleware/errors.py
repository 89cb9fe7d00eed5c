"""Turns whatever was raised into the contract's errors. Nothing unhandled reaches a caller."""

import asyncio
import math
import re
from collections.abc import Callable
from http import HTTPStatus

import grpc
import structlog
from google.protobuf.descriptor import Descriptor

from server.core.errors import ApiError, DeadlineExceeded
from server.observability.logging import cause_of
from server.rpc import envelope, status, streams
from server.rpc.call import Call, Context, Handler, current_call
from server.rpc.method import Method

HEADERS = (
    "Authorization", "Content-Encoding", "Idempotency-Key", "Last-Event-Id", "X-Api-Key",
    "X-On-Behalf-Of",
)  # fmt: skip
_PART = re.compile(r"(?:\[\d+\])?(?:\.|$)")
_log = structlog.stdlib.get_logger("finlink.rpc")

# Gives the ApiError that an exception of some layer stands for, or None.
Translator = Callable[[BaseException], ApiError | None]


def error_status(translate: Translator) -> Callable[[Method, Handler], Handler]:
    """Middleware that replies with errors; `translate` knows the exceptions of the layers below."""

    def middleware(method: Method, inner: Handler) -> Handler:
        names = names_of(method.request)

        async def handle(request: bytes, context: Context) -> bytes:
            call = current_call()
            try:
                reply = await inner(request, context)
            except grpc.aio.AbortError:
                raise
            except asyncio.CancelledError:
                if not method.streams:  # a stream goes on for as long as its caller stays
                    call.code = DeadlineExceeded.code
                raise
            except Exception as raised:  # noqa: BLE001 - the last place that can reply
                error = as_api_error(raised, translate, method)
                call.code = error.code
                if error.fields:
                    call.facts["fields"] = [
                        loggable(entry.field, names) for entry in error.fields[:10]
                    ]
                if call.is_rest and call.sent:  # the status has gone ahead long ago
                    await context.write(streams.rest_error(method, error, call))
                    return streams.NO_REPLY
                await _abort(error, call, context)
                raise AssertionError("abort returned") from None
            headers = call.reply_headers
            http_status = method.failing_status if call.fails else method.success_status
            if call.is_rest and http_status != 200:
                headers = [*headers, ("x-finlink-status", str(http_status))]
            if headers:
                # Last of all: after initial metadata an abort could no longer set its own status.
                await context.send_initial_metadata(tuple(headers))
            return reply

        return handle

    return middleware


def names_of(message: Descriptor) -> frozenset[str]:
    """The JSON names of a request's fields, and of those inside them."""
    found: set[str] = {"", "body", *HEADERS}
    met, left = {message.full_name}, [message]  # a message may have one of its own kind inside
    while left:
        for field in left.pop().fields:
            found.add(field.json_name)
            inner = field.message_type
            if inner is not None and inner.full_name not in met:
                met.add(inner.full_name)
                left.append(inner)
    return frozenset(found)


def loggable(place: str, names: frozenset[str]) -> str:
    """Where a wrong field stands; nothing of a name that the caller made up, which may be a secret."""
    return place if names.issuperset(_PART.split(place)) else "(unknown)"


def as_api_error(raised: Exception, translate: Translator, method: Method) -> ApiError:
    """The error that the caller gets: INTERNAL for an unknown one, which is logged with its cause."""
    if isinstance(raised, ApiError):
        return raised
    if isinstance(raised, TimeoutError):
        return DeadlineExceeded()
    translated = translate(raised)
    if translated is not None:
        _log.warning("backend failure", method=method.path, cause=type(raised).__name__)
        return translated
    _log.error("unhandled exception", method=method.path, **cause_of(raised))
    return ApiError()


async def _abort(error: ApiError, call: Call, context: Context) -> None:
    """End the call with `error`; does not return."""
    code, http_status = status.STATUSES[error.code]
    if not call.is_rest:
        details = ("grpc-status-details-bin", status.grpc_details(error))
        await context.abort(code, error.message, (*call.reply_headers, details))
    trailers = [
        *call.reply_headers,
        ("x-finlink-status", str(http_status)),
        ("x-finlink-error", envelope.failure(status.rest_error(error, call.rest_path))),
    ]
    if http_status == HTTPStatus.UNAUTHORIZED:
        trailers.append(("www-authenticate", status.challenge(error)))
    if error.retry_after is not None:
        trailers.append(("retry-after", str(max(1, math.ceil(error.retry_after.total_seconds())))))
    await context.abort(code, "", tuple(trailers))
