"""A user who was deleted, and comes back from the archive."""

from __future__ import annotations

import pytest

from server.core.pages import PageRequest
from server.core.users import UserExists
from server.domains.users.errors import UserNotFound
from server.domains.users.model import UserFilter
from server.domains.users.store import ARCHIVE, UserStore
from server.storage.driver import ClientSession, Database
from tests.domains.users.samples import new_user


async def archived(database: Database, store: UserStore, user_id: str) -> None:
    async def work(session: ClientSession) -> str:
        await store.archive(user_id, session)
        return user_id

    await database.transact(work)


async def restored(database: Database, store: UserStore, user_id: str) -> object:
    return await database.transact(lambda session: store.restore(user_id, session))


async def test_what_comes_back_is_who_was_deleted_last(
    database: Database, store: UserStore
) -> None:
    await store.create(new_user())
    await archived(database, store, "user_12345")
    last = await store.create(new_user(), role="admin")
    changes = {"phoneVerified": True, "mfaEnabled": True, "profile.city": "Pune"}
    await store.update("user_12345", changes)
    await archived(database, store, "user_12345")
    await restored(database, store, "user_12345")
    user = await store.get("user_12345")
    assert (user.id, user.profile.city) == (last.id, "Pune")
    assert (user.role, user.phone_verified, user.mfa_enabled) == ("user", False, False)
    assert await database.collection(ARCHIVE).count_documents({}) == 1
    assert (await store.list(UserFilter(), PageRequest())).total == 1
    with pytest.raises(UserExists):
        await restored(database, store, "user_12345")
    assert await database.collection(ARCHIVE).count_documents({}) == 1, "who stays in the archive"
    with pytest.raises(UserNotFound):
        await restored(database, store, "nobody")
