"""How many commands of MongoDB a use case sends."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pymongo import monitoring

from server.core.errors import SessionEnded, Unauthenticated
from server.core.pages import PageRequest
from server.domains.identity.sessions import store
from server.storage import driver
from server.storage.indexes import ensure_indexes
from server.storage.monitoring import Commands
from tests.domains.identity.sessions.world import PHONE, World
from tests.mongodb import MongoDb
from tests.storage.databases import settings

SENT: list[str] = []


class Seen(Commands):
    def started(self, event: monitoring.CommandStartedEvent) -> None:
        SENT.append(event.command_name)


@pytest.fixture
async def counted(mongodb: MongoDb, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(driver, "Commands", Seen)
    async with driver.connected(settings(mongodb.uri, "pymongo")) as database:
        await ensure_indexes(database, store.INDEXES)
        yield World(database)
        await database.drop()


async def test_a_refresh_is_one(counted: World) -> None:
    user = await counted.users.create()
    begun = await counted.begin(user)
    SENT.clear()
    second = await counted.refresh(begun.secret, "key")
    assert SENT == ["findAndModify"]
    SENT.clear()
    await counted.refresh(begun.secret)
    assert SENT == ["findAndModify", "find"], "the same successor again"
    SENT.clear()
    with pytest.raises(Unauthenticated):
        await counted.refresh(begun.secret[:-1] + ("A" if begun.secret[-1] != "A" else "B"))
    assert SENT == []
    counted.clock.turn(days=7)
    with pytest.raises(SessionEnded):
        await counted.refresh(second.refresh_token)
    assert SENT == ["findAndModify", "find"]


async def test_a_call_with_a_cookie_is_one_and_one_a_minute(counted: World) -> None:
    user = await counted.users.create()
    begun = await counted.begin(user, "cookie")
    counted.clock.turn(minutes=1)
    SENT.clear()
    for _ in range(3):
        await counted.sessions.by_cookie(begun.secret)
        counted.noted.note(begun.session.id, user, lambda: PHONE)
        await counted.noted.write()
    assert SENT == ["find", "update", "update", "find", "find"], "the session and the user"


async def test_a_login_and_a_list(counted: World) -> None:
    user = await counted.users.create()
    await counted.begin(user)
    SENT.clear()
    await counted.begin(user)
    assert SENT == ["findAndModify", "find", "insert", "commitTransaction"]
    SENT.clear()
    await counted.sessions.list(user, PageRequest())
    assert SENT == ["find"]
