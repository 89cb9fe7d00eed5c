"""Gives ready answers of hot reads again, and keeps new ones; see `answer_cache.py`.

Two steps: `given` stands before decoding, so that a ready answer costs neither that nor validation, and
`kept` after it, where the request says whose answer it is, outside of encoding. Whoever calls has been
let in before both.
"""

from __future__ import annotations

from google.protobuf.message import Message

from server.cache.responses import AnswerCache
from server.rpc import envelope
from server.rpc.call import Call, Context, Handler, current_call
from server.rpc.method import Method


class CachedAnswers:
    """Of the RPCs whose option `cached_by` names the field with the user."""

    def __init__(self, cache: AnswerCache | None) -> None:
        self._cache = cache

    def given(self, method: Method, inner: Handler) -> Handler:
        cache, path = self._cache, method.path
        if cache is None or not method.rules.cached_by:
            return inner

        async def handle(request: bytes, context: Context) -> bytes:
            call = current_call()
            if call.rest_query:  # no such RPC has parameters; decoding says so
                return await inner(request, context)
            answer = cache.get(_name(path, call), request)
            if answer is not None:
                call.cached = "hit"
                return envelope.at_present(answer) if call.is_rest else answer
            call.cached = "miss"
            call.raw = request
            return await inner(request, context)

        return handle

    def kept(self, method: Method, inner: Handler) -> Handler:
        cache, path, user_id = self._cache, method.path, method.rules.cached_by
        if cache is None or not user_id:
            return inner

        async def handle(request: Message, context: Context) -> bytes:
            call = current_call()
            moment = cache.moment(getattr(request, user_id))
            answer: bytes = await inner(request, context)
            if moment is not None and call.raw is not None and call.shown is not None:
                cache.put(_name(path, call), call.raw, answer, moment, call.shown)
            return answer

        return handle


def _name(path: str, call: Call) -> str:
    """Both ways send the same request, and get answers of different forms."""
    return path if call.is_rest else f"{path} over gRPC"
