"""Innermost: users see and change what is theirs, once the request says whose it is.

Inside of idempotency, whose replies are the caller's own: what has been deleted has no owner any more.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from google.protobuf.message import Message

from server.core.authorization import Reach, check_owner, may_reach
from server.core.errors import ApiError
from server.rpc.call import Context, Serving, current_call
from server.rpc.method import Method


@dataclass(frozen=True)
class Owners:
    """The owners of a domain's resources. Another user's looks as if it did not exist."""

    user_of: Callable[
        [str], Awaitable[str | None]
    ]  # the `userId` by the resource's id, if there is one
    missing: type[ApiError]


class Ownership:
    """Middleware for the RPCs whose `owner` names a field. `owners` are by that name.

    `user_id` needs none: it is the owner itself, and another's is refused before any look-up.
    """

    def __init__(self, owners: Mapping[str, Owners]) -> None:
        self._owners = owners

    def __call__(self, method: Method, inner: Serving) -> Serving:
        """Raises TypeError for an RPC of which nobody can say in time whose the request is."""
        access, owners = method.access, self._owners.get(method.access.owner)
        if access.reach is not Reach.SELF or not access.owner:
            return inner
        if owners is None and access.owner != "user_id":
            raise TypeError(f"{method.path}: no domain has the owners of {access.owner}")
        if method.takes_stream:
            raise TypeError(f"{method.path}: the owner of a stream of requests cannot be checked")

        async def handle(request: Message, context: Context) -> Message:
            principal = current_call().principal
            if not may_reach(access, principal, None):
                named = getattr(request, access.owner)
                if owners is None:
                    check_owner(access, principal, named)
                elif not may_reach(access, principal, await owners.user_of(named)):
                    raise owners.missing
            return await inner(request, context)

        return handle
