"""Use cases of staff: all fields of a user at once, roles, and users who come back."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import structlog

from server.core.errors import ApiError, FieldError, InvalidRequest
from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.core.model import Changes
from server.core.users import User, UserExists
from server.domains.users.administration.model import UserChange
from server.domains.users.administration.rights import Rights
from server.domains.users.errors import LastAdmin
from server.domains.users.store import UserStore
from server.kernel import UserDependents
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession

_ADMIN = "admin"
_log = structlog.stdlib.get_logger("finlink.users")


class UserAdministration:
    def __init__(
        self, changes: RecordedChanges, store: UserStore, dependents: Sequence[UserDependents]
    ) -> None:
        self._changes = changes
        self._store = store
        self._dependents = dependents

    async def change(
        self,
        user_id: str,
        change: UserChange,
        rights: Rights | None = None,
        reply: KeyedReply | None = None,
    ) -> User:
        """Make a change with all that follows from it; without `rights` everything may be changed.

        Raises UserNotFound, PermissionDenied naming each field that is past the rights, InvalidRequest if the
        email would be lost, UserExists if it is taken, LastAdmin.
        """
        events: list[Event] = []

        async def work(session: ClientSession) -> User:
            before = await self._store.lock(user_id, session)
            if rights is not None:
                rights.check(change, before)
            if change.needs_email and change.email is None and before.email is not None:
                raise InvalidRequest.of("email", "is required")
            user = await self._write(before, change, session)
            events[:] = _events(before, user, change)
            return user

        user = await self._store.get(user_id)
        with self._notifying(user):
            async with self._expiring(user, change):
                user = await self._changes.make(work, lambda _: events, reply)
        _log.info("user changed", user_id=user_id, actions=[event.action for event in events])
        return user

    async def restore(self, user_id: str, reply: KeyedReply | None = None) -> User:
        """Bring back a deleted user. Raises UserNotFound, and UserExists naming what is taken meanwhile."""

        async def work(session: ClientSession) -> User:
            return await self._store.restore(user_id, session)

        user = await self._changes.make(work, lambda _: Event("user.restored", user_id), reply)
        _log.info("user restored", user_id=user_id)
        return user

    async def _write(self, before: User, change: UserChange, session: ClientSession) -> User:
        changes: Changes = dict(change.changes)
        if change.email is not None and change.email != before.email:
            changes |= {"email": change.email, "emailVerified": False}
        if change.status is not None:
            changes["status"] = change.status
        if change.role is not None:
            changes["role"] = change.role
        is_demotion = change.role not in {None, _ADMIN}
        ends = is_demotion or (before.is_active and change.status not in {None, "active"})
        if (
            before.role == _ADMIN
            and ends
            and not await self._store.lock_other_admin(before.user_id, session)
        ):
            raise LastAdmin
        try:
            user = await self._store.update(before.user_id, changes, session)
        except UserExists:  # `userId` does not change
            message = "Email already exists"
            raise UserExists(message, fields=[FieldError("email", message)]) from None
        for dependent in self._dependents:
            if change.status is not None:
                await dependent.set_active(user, user.is_active, session)
            if user.role != before.role:
                await dependent.role_changed(user, session)
            if user.email != before.email:
                await dependent.email_changed(user, before.email, session)
        return user

    @asynccontextmanager
    async def _expiring(self, user: User, change: UserChange) -> AsyncIterator[None]:
        """Around a change of role: afterwards what was read before it holds no more, also if it is unknown
        whether it was committed."""
        try:
            yield
        except ApiError:
            raise  # nothing was changed
        except BaseException:
            await self._expire(user, change)
            raise
        else:
            await self._expire(user, change)

    async def _expire(self, user: User, change: UserChange) -> None:
        """Also if the role is the one that there was: whoever gave it may have died before this."""
        if change.role is not None:
            for dependent in self._dependents:
                await dependent.after_role_change(user)

    @contextmanager
    def _notifying(self, user: User) -> Iterator[None]:
        """Around a change: afterwards dependents notify the workers of this host, also if it failed."""
        try:
            yield
        finally:
            for dependent in self._dependents:
                dependent.committed(user)


def _events(before: User, user: User, change: UserChange) -> Iterator[Event]:
    if change.changes:
        yield Event("user.updated", user.user_id, fields=sorted(change.changes))
    if user.email != before.email:
        yield Event("user.email_changed", user.user_id, fields=["email"])
    if change.status is not None:
        yield Event("user.status_changed", user.user_id, fields=["status"])
    if user.role != before.role:
        yield Event("user.role_changed", user.user_id, fields=["role"])
