"""Decides what each caller may do: the contract's access of an RPC against the principal of a call.

`admit` asks what can be known before the request is read; `check_owner` asks whose data it is about.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from server.core.access import Scope
from server.core.errors import PermissionDenied, RecentLoginRequired, Unauthenticated
from server.core.principals import Principal, Role, SignedIn

# The age of a login that is a recent one: of the contract's `recent_login`, and of the calls that need it for
# some requests only.
RECENT_LOGIN = timedelta(minutes=10)


class Reach(Enum):
    """Who may make a call at all."""

    PUBLIC = "everybody"
    NONE = "API keys"
    SELF = "users for their own data"
    ROLE = "users from a role on"


@dataclass(frozen=True, slots=True)
class Access:
    """The access to one RPC, as the contract has it."""

    scope: Scope  # that an API key needs
    reach: Reach
    role: Role | None = None  # from which on a user may, for another's data (SELF) or at all (ROLE)
    owner: str = ""  # the request's field that says whose it is; empty: the caller
    recent_login: timedelta | None = None  # within which the user must have proved who it is
    in_person: bool = False  # not on a user's behalf
    reads: bool = False  # it changes nothing
    staff_reads: bool = False  # staff may read it on a user's behalf
    open_without_keys: bool = False

    @property
    def is_own(self) -> bool:
        """Whether it is about the caller, who must be a user then."""
        return self.reach is Reach.SELF and not self.owner


def admit(access: Access, principal: Principal, now: datetime) -> None:
    """Raises Unauthenticated, PermissionDenied, RecentLoginRequired."""
    if access.reach is Reach.PUBLIC:
        return
    if principal.key is not None and principal.key.scope < access.scope:
        raise PermissionDenied(
            f"This call needs the scope {access.scope.name.lower()}; "
            f"the key {principal.key.name} has {principal.key.scope.name.lower()}"
        )
    if principal.on_behalf_of is not None:
        _admit_on_behalf(access, principal)
    elif principal.signed_in is not None:
        _admit_user(access, principal.signed_in, now)
    elif access.is_own:
        raise Unauthenticated(
            "This call needs a user who has signed in: send authorization: Bearer"
        )


def _admit_user(access: Access, user: SignedIn, now: datetime) -> None:
    if access.reach is Reach.NONE:
        raise PermissionDenied("Only API keys may make this call")
    if access.reach is Reach.ROLE and not _has_role(access, user):
        raise PermissionDenied(_needs_role(access))
    if access.recent_login is not None:
        check_recent_login(user, now, within=access.recent_login)


def check_recent_login(user: SignedIn, now: datetime, *, within: timedelta = RECENT_LOGIN) -> None:
    """Raises RecentLoginRequired unless the user has proved within this time who it is."""
    if now - user.auth_time > within:
        raise RecentLoginRequired(metadata={"maxAge": str(round(within.total_seconds()))})


def _admit_on_behalf(access: Access, principal: Principal) -> None:
    """A service acts for a user, or staff look at what a user sees."""
    if access.reach is not Reach.SELF or access.in_person or access.recent_login is not None:
        raise PermissionDenied("Nobody may make this call on behalf of a user")
    is_looking = access.staff_reads and access.reads
    if principal.signed_in is not None:
        if principal.signed_in.role < Role.MODERATOR or not is_looking:
            raise PermissionDenied("A user may not make this call on behalf of another")
        return
    if principal.key is not None and principal.key.scope < Scope.WRITE and not is_looking:
        raise PermissionDenied("A call on behalf of a user needs the scope write")


def check_owner(access: Access, principal: Principal, owner: str | None) -> None:
    """Raise PermissionDenied unless the caller may see or change what belongs to `owner`, a `userId`.

    None stands for what belongs to everybody.
    """
    if not may_reach(access, principal, owner):
        raise PermissionDenied("This belongs to another user")


def may_reach(access: Access, principal: Principal, owner: str | None) -> bool:
    """Whether the caller may see or change what belongs to `owner`; None: to everybody."""
    if access.reach is not Reach.SELF or principal.user is None or access.is_own:
        return True
    if owner is not None and owner == principal.user.user_id:
        return True
    user = principal.signed_in
    return principal.on_behalf_of is None and user is not None and _has_role(access, user)


def acts_as(principal: Principal, role: Role, scope: Scope) -> bool:
    """Whether the caller has the rights of a role, or of an API key of a scope; with both, each of them.

    Nobody has them who acts for a user, nor a call without any credential.
    """
    key, user = principal.key, principal.signed_in
    if principal.on_behalf_of is not None or (key is None and user is None):
        return False
    return (key is None or key.scope >= scope) and (user is None or user.role >= role)


def moderates(access: Access, principal: Principal) -> bool:
    """Whether the caller acts on others as a moderator, who acts on users and not on staff.

    To read what users read of themselves is not to act: lists show it of everybody. To look on somebody's
    behalf is, and so are calls that only staff may make.
    """
    if principal.signed_in is None or principal.signed_in.role is not Role.MODERATOR:
        return False
    only_reads = access.reads and access.reach is Reach.SELF
    return not only_reads or principal.on_behalf_of is not None


def is_moderated(access: Access, principal: Principal, user_id: str) -> bool:
    """Whether the caller acts on this `userId` in that way."""
    user = principal.signed_in
    if user is None or not moderates(access, principal):
        return False
    return access.reach is Reach.ROLE or user_id != user.user_id


def _has_role(access: Access, user: SignedIn) -> bool:
    return access.role is not None and user.role >= access.role


def _needs_role(access: Access) -> str:
    role = access.role or Role.ADMIN
    return f"This call needs the role {role.name.lower()}"
