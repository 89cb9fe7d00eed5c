"""Returns cached replies of hot reads again, and caches new ones; see `cache/responses.py`.

It stands in two places: `returned` before decoding, so that a cached reply costs neither that nor
validation, and `stored` after it, where the request says whose reply it is, outside of encoding.
Authentication comes before both. A cached reply is for all who may see it, so each caller's right to it is
checked again.
"""

from google.protobuf.message import Message

from server.cache.responses import ResponseCache
from server.core.authorization import check_owner, is_moderated
from server.rpc import envelope
from server.rpc.call import Call, Context, Handler, current_call
from server.rpc.method import Method


class CachedResponses:
    """Of the RPCs that say in `cached_by` which field names the user."""

    def __init__(self, cache: ResponseCache | None) -> None:
        self._cache = cache

    def returned(self, method: Method, inner: Handler) -> Handler:
        cache, path, access = self._cache, method.path, method.access
        if cache is None or not method.rules.cached_by:
            return inner

        async def handle(request: bytes, context: Context) -> bytes:
            call = current_call()
            if call.rest_query:  # no such RPC has parameters; decoding says so
                return await inner(request, context)
            entry = cache.get(_name(path, call), request)
            # Where a moderator acts it depends on the user's role, which is looked up inside.
            if entry is not None and not is_moderated(access, call.principal, entry.user_id):
                check_owner(access, call.principal, entry.user_id)
                call.cached = "hit"
                return envelope.at_present(entry.reply) if call.is_rest else entry.reply
            call.cached = "miss"
            call.raw = request
            return await inner(request, context)

        return handle

    def stored(self, method: Method, inner: Handler) -> Handler:
        cache, path, user_id = self._cache, method.path, method.rules.cached_by
        if cache is None or not user_id:
            return inner

        async def handle(request: Message, context: Context) -> bytes:
            call = current_call()
            stamp = cache.stamp(getattr(request, user_id))
            reply: bytes = await inner(request, context)
            if stamp is not None and call.raw is not None and call.shown is not None:
                cache.put(_name(path, call), call.raw, reply, stamp, call.shown)
            return reply

        return handle


def _name(path: str, call: Call) -> str:
    """REST and gRPC send the same request, and get replies of different forms."""
    return path if call.is_rest else f"{path} over gRPC"
