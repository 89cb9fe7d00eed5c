"""Refuses the calls of users who have made too many within an hour."""

import math
from datetime import timedelta

from server.core.authorization import Reach
from server.core.errors import RateLimited
from server.rpc.call import Context, Handler, current_call
from server.rpc.method import Method
from server.rpc.rate_limiter import Limit, RateLimiter

_CALLS, _CHANGES = 0, 1
_TOO_MANY = "This user has made too many calls within an hour; wait before the next"
# Their changes are of users and of one's own account.
_OF_ACCOUNTS = frozenset({"finlink.users.v1.UserService", "finlink.identity.v1.MeService"})


class UserLimits:
    """Middleware inside of authentication. `calls` and `changes` are an hour's; 0 is no limit.

    A call counts for the user whose token or cookie it has. Calls on behalf of a user do not count, nor do
    those of API keys alone. An RPC for everybody does not either: it would not if the token were left out,
    and a user must always be able to log out.
    """

    def __init__(self, limiter: RateLimiter, *, calls: int, changes: int) -> None:
        self._limiter = limiter
        self._calls = (Limit.per_hour(_CALLS, calls),) if calls else ()
        self._changes = (Limit.per_hour(_CHANGES, changes),) if changes else ()

    def __call__(self, method: Method, inner: Handler) -> Handler:
        limits, take = self._limits_of(method), self._limiter.take
        if not limits:
            return inner

        async def handle(request: object, context: Context) -> bytes:
            principal = current_call().principal
            if principal.signed_in is not None and principal.on_behalf_of is None:
                wait = take(principal.signed_in.user, limits)
                if wait:
                    raise RateLimited(
                        _TOO_MANY, retry_after=timedelta(seconds=math.ceil(wait / 1e9))
                    )
            return await inner(request, context)

        return handle

    def _limits_of(self, method: Method) -> tuple[Limit, ...]:
        if method.access.reach is Reach.PUBLIC:
            return ()
        service = method.descriptor.containing_service.full_name
        changes = self._changes if method.changes_state and service in _OF_ACCOUNTS else ()
        return self._calls + changes
