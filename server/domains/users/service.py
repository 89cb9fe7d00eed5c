"""Use cases of users."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import structlog

from server.core.events import Event
from server.core.idempotency import KeyedReply
from server.core.model import Changes
from server.core.pages import Page, PageRequest
from server.core.principals import Role
from server.core.users import NewUser, User
from server.domains.users.errors import LastAdmin, UserNotFound
from server.domains.users.model import UserFilter
from server.domains.users.store import UserStore
from server.kernel import Exported, Passwords, UserDependents
from server.storage.changes import GroupCommitChanges, RecordedChanges
from server.storage.driver import ClientSession

_log = structlog.stdlib.get_logger("finlink.users")


class UserDirectory:
    """A view of users for other domains (`kernel.Users`)."""

    def __init__(self, store: UserStore) -> None:
        self._store = store

    async def is_active(self, user_id: str) -> bool:
        return (await self._store.get(user_id)).status == "active"

    async def identity(self, user_id: str, *, expected: str | None = None) -> str:
        user = await self._store.get(user_id)
        if expected not in {None, user.id}:
            raise UserNotFound
        return user.id

    async def lock(self, user_id: str, session: ClientSession) -> bool:
        return (await self._store.lock(user_id, session)).status == "active"

    async def get(self, user_id: str) -> User:
        return await self._store.get(user_id)

    async def find(self, field: str, value: str) -> User | None:
        return await self._store.find({"_id" if field == "id" else field: value})

    async def role(self, user_id: str) -> Role | None:
        """None if nobody has this `userId`."""
        role = await self._store.role(user_id)
        return None if role is None else Role[role.upper()]

    async def lock_id(self, user: str, session: ClientSession) -> User | None:
        try:
            return await self._store.lock({"_id": user}, session)
        except UserNotFound:
            return None

    async def create(self, new: NewUser, session: ClientSession) -> User:
        return await self._store.create(new, session)

    async def update(self, user_id: str, changes: Changes, session: ClientSession) -> User:
        return await self._store.update(user_id, changes, session)


class UserService:
    def __init__(
        self,
        changes: RecordedChanges,
        store: UserStore,
        dependents: Sequence[UserDependents] = (),
        passwords: Passwords | None = None,
    ) -> None:
        self._changes = changes
        self._store = store
        self._creations = GroupCommitChanges(
            changes,
            store.create,
            store.create_all,
            lambda new, _: Event("user.created", new.user_id, fields=new.given),
        )
        self._dependents = dependents
        self._passwords = passwords

    async def create(
        self,
        new: NewUser,
        reply: KeyedReply | None = None,
        *,
        password: str | None = None,
        role: str | None = None,
    ) -> User:
        """Raises UserExists, and for a password what `Passwords.hash_new` raises."""
        if password is None and role is None:
            user = await self._creations.make(new, reply)
        else:
            user = await self._create_alone(new, password, role, reply)
        _log.info("user created", user_id=user.user_id)
        return user

    async def _create_alone(
        self, new: NewUser, password: str | None, role: str | None, reply: KeyedReply | None
    ) -> User:
        hashed = None
        if password is not None and self._passwords is not None:
            hashed = await self._passwords.hash_new(password, user_id=new.user_id, email=new.email)

        async def work(session: ClientSession) -> User:
            user = await self._store.create(new, session, role=role or "user")
            if hashed is not None and self._passwords is not None:
                await self._passwords.store(user, hashed, session)
            return user

        more = [name for name, value in (("password", hashed), ("role", role)) if value]
        event = Event("user.created", new.user_id, fields=[*new.given, *more])
        return await self._changes.make(work, lambda _: event, reply)

    async def get(self, user_id: str) -> User:
        """Raises UserNotFound."""
        return await self._store.get(user_id)

    async def batch_get(self, user_ids: Sequence[str]) -> tuple[list[User], list[str]]:
        """The users that exist, in the order asked for, and the ids of the others."""
        found = await self._store.get_many(user_ids)
        users = [found[user_id] for user_id in user_ids if user_id in found]
        return users, [user_id for user_id in user_ids if user_id not in found]

    async def list(self, where: UserFilter, wanted: PageRequest) -> Page[User]:
        """Raises InvalidRequest where a page number and a token are given."""
        return await self._store.list(where, wanted)

    async def export(self, user_id: str) -> AsyncGenerator[Exported, None]:
        """The user, for the user's export. Raises UserNotFound."""
        yield "user", await self.get(user_id)

    async def update(self, user_id: str, changes: Changes, reply: KeyedReply | None = None) -> User:
        """Apply changes by document path. Raises UserNotFound."""
        user = await self._changes.make(
            partial(self._store.update, user_id, changes),
            lambda _: Event("user.updated", user_id, fields=sorted(changes)),
            reply,
        )
        _log.info("user updated", user_id=user_id, fields=sorted(changes))
        return user

    async def set_status(self, user_id: str, status: str, reply: KeyedReply | None = None) -> User:
        """Change the status, and let the user's syncs run or stop with it. Raises UserNotFound, LastAdmin."""

        async def work(session: ClientSession) -> User:
            user = await self._store.update(user_id, {"status": status}, session)
            if status != "active":
                await self._keep_an_admin(user, session)
            for dependent in self._dependents:
                await dependent.set_active(user, status == "active", session)
            return user

        event = Event("user.status_changed", user_id, fields=["status"])
        with self._notifying(await self.get(user_id)):
            user = await self._changes.make(work, lambda _: event, reply)
        _log.info("user status changed", user_id=user_id, status=status)
        return user

    async def delete(self, user_id: str, reply: KeyedReply | None = None) -> None:
        """Remove the user and all that depends on it, or nothing.

        Raises UserNotFound, LastAdmin, and what a dependent raises that refuses.
        """
        user = await self.get(user_id)
        await self._store.check_not_last_admin(user)
        for dependent in self._dependents:
            await dependent.check_deletable(user)
        for dependent in self._dependents:
            await dependent.before_delete(user)

        async def work(session: ClientSession) -> str:
            gone = await self._store.archive(user_id, session)
            if gone.is_active:
                await self._keep_an_admin(gone, session)
            for dependent in self._dependents:
                await dependent.delete(user, session)
            return user_id

        with self._notifying(user):
            await self._changes.make(work, lambda _: Event("user.deleted", user_id), reply)
        _log.info("user deleted", user_id=user_id)

    async def _keep_an_admin(self, user: User, session: ClientSession) -> None:
        """Raise LastAdmin, which undoes a change after which there is no active admin."""
        if user.role == "admin" and not await self._store.lock_other_admin(user.user_id, session):
            raise LastAdmin

    @contextmanager
    def _notifying(self, user: User) -> Iterator[None]:
        """Around a change: afterwards dependents notify the workers of this host, also if it failed."""
        try:
            yield
        finally:
            for dependent in self._dependents:
                dependent.committed(user)
