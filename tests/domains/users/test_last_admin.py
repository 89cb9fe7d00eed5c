"""One active admin is always left, whoever changes roles at one moment."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from server.core.users import User
from server.domains.users.administration.model import UserChange
from server.domains.users.administration.service import UserAdministration
from server.domains.users.errors import LastAdmin
from server.domains.users.store import UserStore
from server.kernel import UserDependents
from server.storage.audit import AuditTrail, Codes
from server.storage.changes import RecordedChanges
from server.storage.driver import ClientSession, Database
from tests.domains.users.samples import new_user

DEMOTED = UserChange(role="user")


class Dependent(UserDependents):
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def role_changed(self, user: User, session: ClientSession) -> None:
        self.asked.append(("role_changed", user.role))

    async def after_role_change(self, user: User) -> None:
        self.asked.append(("after_role_change", user.user_id))


async def admins(database: Database, *names: str) -> UserAdministration:
    store = UserStore(database)
    for name in names:
        await store.create(new_user(user_id=name, email=f"{name}@example.com"), role="admin")
    changes = RecordedChanges(database, AuditTrail(database, Codes(bytes(32))))
    return UserAdministration(changes, store, [])


async def test_of_admins_who_demote_each_other_at_once_one_is_left(database: Database) -> None:
    names = ("a", "b", "c")
    administration = await admins(database, *names)
    outcomes = await asyncio.gather(
        *(administration.change(name, DEMOTED) for name in names), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, LastAdmin)]
    demoted = [outcome for outcome in outcomes if isinstance(outcome, User)]
    assert (len(refused), len(demoted)) == (1, 2)
    assert await database.collection("users").count_documents({"role": "admin"}) == 1


async def test_who_reads_before_the_other_s_commit_waits_for_it(database: Database) -> None:
    """Both have looked whether there is another admin before either has committed."""
    await admins(database, "a", "b")
    store = UserStore(database)
    looked, tries = asyncio.Barrier(2), []

    async def demote(name: str, session: ClientSession) -> bool:
        tries.append(name)
        there_is = await database.collection("users").count_documents(
            {"role": "admin", "userId": {"$ne": name}}, session=session
        )
        if len(tries) <= 2:
            await looked.wait()
        if not await store.lock_other_admin(name, session):
            raise LastAdmin
        await store.update(name, {"role": "user"}, session)
        return bool(there_is)

    outcomes = await asyncio.gather(
        *(database.transact(partial(demote, name)) for name in ("a", "b")), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes if outcome is not True] == [LastAdmin]
    assert len(tries) > 2, "one of them had to look again"


@pytest.mark.parametrize("status", ["inactive", "suspended"])
async def test_an_admin_who_is_not_active_does_not_count(database: Database, status: str) -> None:
    administration = await admins(database, "a", "b")
    await administration.change("b", UserChange(status=status))
    with pytest.raises(LastAdmin):
        await administration.change("a", DEMOTED)
    assert (await administration.change("b", DEMOTED)).role == "user"


async def test_dependents_hear_of_a_role_that_is_another(database: Database) -> None:
    await admins(database, "a", "b")
    dependent = Dependent()
    changes = RecordedChanges(database, AuditTrail(database, Codes(bytes(32))))
    administration = UserAdministration(changes, UserStore(database), [dependent])
    await administration.change("a", UserChange(role="admin"))
    assert dependent.asked == [("after_role_change", "a")]
    dependent.asked.clear()
    await administration.change("a", DEMOTED)
    assert dependent.asked == [("role_changed", "user"), ("after_role_change", "a")]
    dependent.asked.clear()
    with pytest.raises(LastAdmin):
        await administration.change("b", DEMOTED)
    assert dependent.asked == [], "nothing was changed, so nothing expires"
