"""A domain may refuse that a user is deleted; then nothing happens to the user anywhere."""

from __future__ import annotations

import pytest

from server.core.errors import ApiError
from server.core.users import User
from server.domains.users.service import UserService
from server.domains.users.store import UserStore
from server.kernel import UserDependents
from server.storage.audit import AuditTrail, Codes
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession, Database
from tests.domains.users.samples import new_user


class OpenLoan(ApiError):
    pass


class Dependent(UserDependents):
    """A domain that records what it is asked, and refuses if `refuses`."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.asked: list[str] = []
        self._refuses = refuses

    async def check_deletable(self, user: User) -> None:
        self.asked.append("check_deletable")
        if self._refuses:
            raise OpenLoan

    async def before_delete(self, user: User) -> None:
        self.asked.append("before_delete")

    async def delete(self, user: User, session: ClientSession) -> None:
        self.asked.append("delete")

    async def set_active(self, user: User, active: bool, session: ClientSession) -> None:
        self.asked.append("set_active")


async def service(database: Database, *dependents: Dependent) -> UserService:
    """Users with these dependents, and one user among them."""
    changes = RecordedChanges(database, AuditTrail(database, Codes(bytes(32))))
    users = UserService(changes, UserStore(database), dependents)
    await users.create(new_user())
    return users


async def test_one_refusal_leaves_everything_as_it_is(database: Database) -> None:
    first, second = Dependent(), Dependent(refuses=True)
    users = await service(database, first, second)
    with pytest.raises(OpenLoan):
        await users.delete("user_12345")
    assert (first.asked, second.asked) == (["check_deletable"], ["check_deletable"])
    assert (await users.get("user_12345")).user_id == "user_12345"


async def test_all_are_asked_before_any_acts(database: Database) -> None:
    dependent = Dependent()
    users = await service(database, dependent)
    await users.delete("user_12345")
    assert dependent.asked == ["check_deletable", "before_delete", "delete"]
