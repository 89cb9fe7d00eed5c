"""Innermost: users see and change what is theirs, once the request says whose it is.

Inside of idempotency, whose replies are the caller's own: what has been deleted has no owner any more.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from google.protobuf.message import Message

from server.core.authorization import (
    Access,
    Reach,
    check_owner,
    is_moderated,
    may_reach,
    moderates,
)
from server.core.errors import ApiError, PermissionDenied
from server.core.principals import Principal, Role
from server.rpc.call import Context, Serving, current_call
from server.rpc.method import Method

_USER_ID = "user_id"


@dataclass(frozen=True)
class Owners:
    """The owners of a domain's resources. Another user's looks as if it did not exist."""

    user_of: Callable[
        [str], Awaitable[str | None]
    ]  # the `userId` by the resource's id, if there is one
    missing: type[ApiError]


class Ownership:
    """Middleware for the RPCs that are about one user, whom a field of the request names.

    `owners` are by the name that an RPC's `owner` gives. `user_id` needs none: it is the owner itself, and
    another's is refused before any look-up. `role_of` returns the role of a `userId`, if anybody has it: a
    moderator acts on those whose role is `user`, and may look at all.
    """

    def __init__(
        self,
        owners: Mapping[str, Owners],
        role_of: Callable[[str], Awaitable[Role | None]],
    ) -> None:
        self._owners = owners
        self._role_of = role_of

    def __call__(self, method: Method, inner: Serving) -> Serving:
        """Raises TypeError for an RPC of which nobody can say in time whose the request is."""
        access, field = method.access, _field(method)
        owners = self._owners.get(field)
        if not field and not access.staff_reads:
            return inner
        if field and owners is None and field != _USER_ID:
            raise TypeError(f"{method.path}: no domain has the owners of {field}")
        if method.takes_stream:
            raise TypeError(f"{method.path}: the owner of a stream of requests cannot be checked")

        async def handle(request: Message, context: Context) -> Message:
            principal = current_call().principal
            if moderates(access, principal) or not may_reach(access, principal, None):
                if principal.on_behalf_of is not None:
                    await self._check_user(access, principal, principal.on_behalf_of.user_id)
                named = getattr(request, field) if field else ""
                if owners is None:
                    await self._check_user(access, principal, named)
                elif not await self._may_reach(access, principal, await owners.user_of(named)):
                    raise owners.missing
            return await inner(request, context)

        return handle

    async def _check_user(self, access: Access, principal: Principal, user_id: str) -> None:
        """Raises PermissionDenied. A request without a `userId` is about everybody."""
        check_owner(access, principal, user_id)
        if user_id and not await self._may_reach(access, principal, user_id):
            raise PermissionDenied("A moderator may not make this call about staff")

    async def _may_reach(self, access: Access, principal: Principal, user_id: str | None) -> bool:
        if not may_reach(access, principal, user_id):
            return False
        if user_id is None or not is_moderated(access, principal, user_id):
            return True
        return await self._role_of(user_id) in {None, Role.USER}


def _field(method: Method) -> str:
    """The request's field that names whom it is about; empty if none does."""
    access = method.access
    if access.reach is Reach.SELF:
        return access.owner
    return _USER_ID if access.reach is Reach.ROLE and _USER_ID in method.path_fields else ""
