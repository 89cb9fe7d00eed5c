"""Entity tags over REST: `ETag` and `If-None-Match` of reads, `If-Match` of changes.

A resource that has revisions shows its own as `etag`. The header is weak (`W/"…"`), because replies of one
revision differ in their timestamp, and because a strong one does not pass compression.
"""

import re

from google.protobuf.message import Message

from server.core.errors import InvalidRequest
from server.rpc.call import IF_MATCH, IF_NONE_MATCH, Call, Context, Serving, current_call
from server.rpc.method import Method

_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e]*)"')
_ANY = "*"
_HEADER = IF_MATCH.title()


def entity_tags(method: Method, inner: Serving) -> Serving:
    """Middleware outside of idempotency: the tag that a change is sent with is part of its request."""
    if method.shows_etag and method.verb == "get":
        return _of_reads(inner)
    return _of_changes(method, inner) if method.changes_state else inner


def _of_reads(inner: Serving) -> Serving:
    async def handle(request: Message, context: Context) -> Message:
        reply = await inner(request, context)
        call = current_call()
        if call.is_rest:
            tag = str(reply.data.etag)  # type: ignore[attr-defined]
            call.reply_headers += [("etag", f'W/"{tag}"'), ("cache-control", "private, no-cache")]
            call.not_modified = _is_known(tag, call.header(IF_NONE_MATCH))
        return reply

    return handle


def _of_changes(method: Method, inner: Serving) -> Serving:
    async def handle(request: Message, context: Context) -> Message:
        call = current_call()
        if call.is_rest and (tag := _expected(call)) is not None:
            if not method.takes_etag:
                raise InvalidRequest.of(_HEADER, "is not for this call, which checks no revision")
            if request.HasField("etag") and request.etag != tag:  # type: ignore[attr-defined]
                raise InvalidRequest.of("etag", f"is another one than {_HEADER}")
            request.etag = tag  # type: ignore[attr-defined]
        return await inner(request, context)

    return handle


def _is_known(tag: str, known: str | None) -> bool:
    return known is not None and (known.strip() == _ANY or tag in _TAG.findall(known))


def _expected(call: Call) -> str | None:
    """The one tag of `If-Match`; None if any will do."""
    sent = call.header(IF_MATCH)
    if sent is None or sent.strip() == _ANY:
        return None
    found = _TAG.fullmatch(sent.strip())
    if found is None:
        raise InvalidRequest.of(_HEADER, "must be one entity tag in quotes, or *")
    return found[1]
