"""Lets a call pass whose credentials allow it, before anything of the request is looked at."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

from server.core.access import Keys
from server.core.authorization import Access, Reach, admit
from server.core.clock import utc_now
from server.core.errors import ApiError, InvalidRequest, Unauthenticated
from server.core.principals import Principal, Represented, SignedIn, SignIns
from server.rpc.call import (
    API_KEY,
    AUTHORIZATION,
    ON_BEHALF_OF,
    Call,
    Context,
    Handler,
    current_call,
)
from server.rpc.method import Method

_BEARER = re.compile(r"[Bb]earer +([\x21-\x7e]+) *")
_USER_ID = re.compile(r"[A-Za-z0-9_]{1,64}")


class Authentication:
    """Middleware that checks `x-api-key`, `authorization` and `x-on-behalf-of` against the RPC's access.

    A credential that is sent must hold, also where none is needed. Only an RPC for everybody takes a user's
    credential that does not hold for none: who signs in, refreshes or logs out has such a one.
    """

    def __init__(
        self, keys: Keys, sign_ins: SignIns | None, identity: Callable[[str], Awaitable[str]]
    ) -> None:
        """`identity` returns the `User.id` of a `userId`, or raises UserNotFound."""
        self._keys = keys
        self._sign_ins = sign_ins
        self._identity = identity

    def __call__(self, method: Method, inner: Handler) -> Handler:
        access, keys = method.access, self._keys

        async def handle(request: bytes, context: Context) -> bytes:
            call = current_call()
            if not keys.are_fresh:
                await keys.read()
            sent = call.header(API_KEY)
            key = None if sent is None else keys.find(sent)
            principal = Principal(key, await self._signed_in(call, access))
            if access.reach is not Reach.PUBLIC:
                principal = await self._admitted(call, access, principal)
            call.principal = principal
            if key is not None:
                call.facts["key"] = key.name
            if principal.user is not None:
                call.facts["caller"] = principal.user.user_id
            return await inner(request, context)

        return handle

    async def _admitted(self, call: Call, access: Access, principal: Principal) -> Principal:
        """Raises what refuses the call; looks up nothing before it would be let in."""
        if principal.key is None and principal.signed_in is None:
            if self._keys.guard or not access.open_without_keys:
                raise Unauthenticated(_what_is_needed(access))
            principal = Principal(is_open=True)
        represented = call.header(ON_BEHALF_OF)
        if represented is None:
            admit(access, principal, utc_now())
            return principal
        if not _USER_ID.fullmatch(represented):
            message = "must be a userId: 1 to 64 letters, digits and underscores"
            raise InvalidRequest.of(ON_BEHALF_OF.title(), message)
        principal = replace(principal, on_behalf_of=Represented("", represented))
        admit(access, principal, utc_now())
        user = await self._identity(represented)
        return replace(principal, on_behalf_of=Represented(user, represented))

    async def _signed_in(self, call: Call, access: Access) -> SignedIn | None:
        sent = call.header(AUTHORIZATION)
        if sent is None:
            return None
        try:
            return await self._by_bearer(sent)
        except ApiError:
            if access.reach is Reach.PUBLIC:
                return None
            raise

    async def _by_bearer(self, sent: str) -> SignedIn:
        bearer = _BEARER.fullmatch(sent)
        if bearer is None or self._sign_ins is None:
            raise Unauthenticated("authorization must be Bearer and an access token")
        if not self._sign_ins.are_fresh:
            await self._sign_ins.read()
        return await self._sign_ins.by_token(bearer[1])


def _what_is_needed(access: Access) -> str:
    key = "send an API key as x-api-key"
    if access.reach is Reach.NONE:
        return f"This call needs an API key: {key}"
    return f"This call needs a credential: {key}, or sign in and send authorization: Bearer TOKEN"
