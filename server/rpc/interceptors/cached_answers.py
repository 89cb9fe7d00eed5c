"""Gives ready answers of hot reads again, and keeps new ones; see `answer_cache.py`.

Two steps: `given` stands before decoding, so that a ready answer costs neither that nor validation, and
`kept` after it, where the request says whose answer it is. Whoever calls has been let in before both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from google.protobuf.message import Message

from server.answer_cache import AnswerCache
from server.observability.metrics import CACHED_ANSWERS
from server.rpc.call import Context, Handler, current_call
from server.rpc.method import Method


class CachedAnswers:
    def __init__(self, cache: AnswerCache | None, methods: Mapping[str, str]) -> None:
        """`methods`: the RPCs whose answers are kept, by path, with the field that names the user."""
        self._cache = cache
        self._methods = methods

    def given(self, method: Method, inner: Handler) -> Handler:
        cache, path = self._cache, method.path
        if cache is None or path not in self._methods:
            return inner
        hits, misses = CACHED_ANSWERS.labels("hit"), CACHED_ANSWERS.labels("miss")

        async def handle(request: bytes, context: Context) -> Message:
            call = current_call()
            if call.rest_query:  # no such RPC has parameters; decoding says so
                return await inner(request, context)
            answer = cache.get(path, request)
            if answer is not None:
                hits.inc()
                return cast("Message", answer)  # grpc.aio gets it as it is, see middleware.py
            misses.inc()
            call.raw = request
            return await inner(request, context)

        return handle

    def kept(self, method: Method, inner: Handler) -> Handler:
        cache, path = self._cache, method.path
        if cache is None or path not in self._methods:
            return inner
        user_id = self._methods[path]

        async def handle(request: Message, context: Context) -> Message:
            call = current_call()
            moment = cache.moment(getattr(request, user_id))
            reply = await inner(request, context)
            if moment is None or call.raw is None or call.shown is None:
                return reply
            answer = reply.SerializeToString()
            cache.put(path, call.raw, answer, moment, call.shown)
            return cast("Message", answer)

        return handle
