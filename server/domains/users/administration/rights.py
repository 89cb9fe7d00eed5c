"""Which fields of a user the caller may change."""

from collections.abc import Iterator
from dataclasses import dataclass

from server.core.access import Scope
from server.core.authorization import acts_as
from server.core.errors import FieldError, PermissionDenied
from server.core.principals import Principal, Role
from server.core.users import User
from server.domains.users.administration.model import UserChange, is_metadata


def may_set_roles(principal: Principal) -> bool:
    """A role needs a credential, also where other calls are open."""
    return acts_as(principal, Role.ADMIN, Scope.ADMIN)


def denied(*names: str) -> PermissionDenied:
    message = "may not be changed by this caller"
    fields = [FieldError(name, message) for name in names]
    return PermissionDenied("The caller may not change these fields", fields=fields)


@dataclass(frozen=True)
class Rights:
    """Of a caller about one user, to whom the contract lets the caller get."""

    _principal: Principal
    _user_id: str

    @property
    def may_metadata(self) -> bool:
        return acts_as(self._principal, Role.ADMIN, Scope.WRITE)

    def check(self, change: UserChange, user: User) -> None:
        """Raises PermissionDenied, which names each field that is past these rights."""
        if names := list(self._past(change, user)):
            raise denied(*names)

    def _past(self, change: UserChange, user: User) -> Iterator[str]:
        principal, is_own = self._principal, self._is_own
        if not is_own and not acts_as(principal, Role.ADMIN, Scope.WRITE):
            yield from (_as_sent(path) for path in change.changes if not is_metadata(path))
        if not self.may_metadata and any(map(is_metadata, change.changes)):
            yield "metadata"
        has_other_email = change.email is not None and change.email != user.email
        if has_other_email and (is_own or not acts_as(principal, Role.ADMIN, Scope.ADMIN)):
            yield "email"
        may_status = acts_as(principal, Role.MODERATOR, Scope.WRITE) and not is_own
        if change.status is not None and not may_status:
            yield "status"
        if change.role is not None and not may_set_roles(principal):
            yield "role"

    @property
    def _is_own(self) -> bool:
        user = self._principal.user
        return user is not None and user.user_id == self._user_id


def _as_sent(path: str) -> str:
    """The name of a field for callers, who send those of the profile without their section."""
    return path.removeprefix("profile.")
