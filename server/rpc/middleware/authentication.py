"""Lets a call pass whose credentials allow it, before anything of the request is looked at."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

from server.core.access import Keys
from server.core.authorization import Access, Reach, admit
from server.core.clock import utc_now
from server.core.errors import InvalidRequest, SessionEnded, TokenExpired, Unauthenticated
from server.core.principals import Principal, Represented, SignedIn, SignIns
from server.rpc.call import (
    API_KEY,
    AUTHORIZATION,
    COOKIE,
    ON_BEHALF_OF,
    Call,
    Context,
    Handler,
    current_call,
)
from server.rpc.credentials_sent import bearer_token
from server.rpc.method import Method
from server.rpc.same_site import check_same_site

_USER_ID = re.compile(r"[A-Za-z0-9_]{1,64}")


class Authentication:
    """Middleware that checks `x-api-key`, `authorization` and `x-on-behalf-of` against the RPC's access.

    A credential that is sent must hold, also where none is needed. Only an RPC for everybody takes a user's
    credential that does not hold for none: who signs in, refreshes or logs out has such a one.
    """

    def __init__(
        self,
        keys: Keys,
        sign_ins: SignIns | None,
        identity: Callable[[str], Awaitable[str]],
        *,
        behalf_is_open: bool = False,
    ) -> None:
        """`identity` returns the `User.id` of a `userId`, or raises UserNotFound.

        `behalf_is_open`: without keys, a call on behalf of a user needs no credential, as in development.
        """
        self._keys = keys
        self._sign_ins = sign_ins
        self._identity = identity
        self._behalf_is_open = behalf_is_open

    def __call__(self, method: Method, inner: Handler) -> Handler:
        access, keys = method.access, self._keys

        async def handle(request: bytes, context: Context) -> bytes:
            call = current_call()
            if not keys.are_fresh:
                await keys.read()
            sent = call.header(API_KEY)
            key = None if sent is None else keys.find(sent)
            principal = Principal(key, await self._signed_in(call, access, has_key=key is not None))
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
        represented = call.header(ON_BEHALF_OF)
        if principal.key is None and principal.signed_in is None:
            is_open = access.open_without_keys or (self._behalf_is_open and represented is not None)
            if self._keys.guard or not is_open:
                raise Unauthenticated(_what_is_needed(access))
            principal = Principal(is_open=True)
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

    async def _signed_in(self, call: Call, access: Access, *, has_key: bool) -> SignedIn | None:
        """The user by the token; or by the cookie, which is not looked at beside another credential."""
        sent = call.header(AUTHORIZATION)
        try:
            if sent is not None:
                return await self._by_bearer(sent)
            return None if has_key else await self._by_cookie(call, access)
        except (Unauthenticated, TokenExpired, SessionEnded):
            if access.reach is Reach.PUBLIC:
                return None
            raise

    async def _by_cookie(self, call: Call, access: Access) -> SignedIn | None:
        sent = call.metadata.get(COOKIE)
        if sent is None or self._sign_ins is None:
            return None
        if not self._sign_ins.are_fresh:
            await self._sign_ins.read()
        signed_in = await self._sign_ins.by_cookie(sent)
        if signed_in is not None and not access.reads:
            check_same_site(call, self._sign_ins.origins)
        return signed_in

    async def _by_bearer(self, sent: str) -> SignedIn:
        token = bearer_token(sent)
        if token is None or self._sign_ins is None:
            raise Unauthenticated("authorization must be Bearer and an access token")
        if not self._sign_ins.are_fresh:
            await self._sign_ins.read()
        return await self._sign_ins.by_token(token)


def _what_is_needed(access: Access) -> str:
    key = "send an API key as x-api-key"
    if access.reach is Reach.NONE:
        return f"This call needs an API key: {key}"
    return f"This call needs a credential: {key}, or sign in and send authorization: Bearer TOKEN"
