"""Ends the stream of a user whose token expires or whose session ends."""

import asyncio

from server.core.clock import utc_now
from server.core.errors import SessionEnded, TokenExpired
from server.core.principals import SignedIn, SignIns
from server.rpc.call import Context, Handler, current_call
from server.rpc.method import Method

LOOK_SECONDS = 1.0  # between two looks at the session


class LiveSessions:
    """Middleware of streams; a watcher comes back with its resume token and the next access token."""

    def __init__(self, sign_ins: SignIns | None) -> None:
        self._sign_ins = sign_ins

    def __call__(self, method: Method, inner: Handler) -> Handler:
        sign_ins = self._sign_ins
        if sign_ins is None or not method.streams:
            return inner

        async def handle(request: object, context: Context) -> bytes:
            signed_in = current_call().principal.signed_in
            if signed_in is None:
                return await inner(request, context)
            stream = asyncio.ensure_future(inner(request, context))
            try:
                while not stream.done():
                    await asyncio.wait({stream}, timeout=_until_next_look(signed_in))
                    if not stream.done():
                        await _check(sign_ins, signed_in)
            finally:
                stream.cancel()
                await asyncio.wait({stream})
            return stream.result()

        return handle


def _until_next_look(signed_in: SignedIn) -> float:
    left = (signed_in.expires_at - utc_now()).total_seconds()
    return max(0.05, min(LOOK_SECONDS, left))


async def _check(sign_ins: SignIns, signed_in: SignedIn) -> None:
    """Raises TokenExpired, SessionEnded. A call may come a little late, a stream ends in time."""
    if signed_in.expires_at <= utc_now():
        raise TokenExpired if signed_in.kind == "token" else SessionEnded
    if not sign_ins.are_fresh:
        await sign_ins.read()
    sign_ins.check(signed_in)
