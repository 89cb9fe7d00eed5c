"""Lets a call pass whose API key allows it, before anything of the request is looked at."""

from server.core.access import Keys
from server.rpc.call import API_KEY, Context, Handler, current_call
from server.rpc.method import Method


class Authentication:
    """Middleware that checks `x-api-key`, header or metadata, against the scope of the RPC."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def __call__(self, method: Method, inner: Handler) -> Handler:
        keys, needed = self._keys, method.scope

        async def handle(request: bytes, context: Context) -> bytes:
            call = current_call()
            if not keys.are_fresh:
                await keys.read()
            key = keys.admit(call.header(API_KEY), needed)
            if key is not None:
                call.key = call.facts["key"] = key.name
            return await inner(request, context)

        return handle
