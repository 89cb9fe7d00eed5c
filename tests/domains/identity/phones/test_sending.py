"""Codes for numbers that somebody has, and for those that nobody has: the same work."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pymongo import monitoring

from server.core.errors import InvalidRequest
from server.domains.identity.credentials.phones.model import OtpLogin
from server.domains.identity.errors import LoginFailed
from server.domains.identity.sessions.model import Caller
from server.storage import driver
from server.storage.indexes import ensure_indexes
from server.storage.monitoring import Commands
from tests.domains.identity.phones.world import ANOTHER, NUMBER, World
from tests.mongodb import MongoDb
from tests.storage.databases import INDEXES, settings

SENT: list[tuple[str, object]] = []


class Seen(Commands):
    def started(self, event: monitoring.CommandStartedEvent) -> None:
        SENT.append((event.command_name, event.command[event.command_name]))


@pytest.fixture
async def counted(mongodb: MongoDb, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(driver, "Commands", Seen)
    async with driver.connected(settings(mongodb.uri, "pymongo")) as database:
        await ensure_indexes(database, INDEXES)
        yield World(database)
        await database.drop()


async def test_known_and_unknown_send_the_same_commands(counted: World) -> None:
    await counted.user(NUMBER)
    commands = []
    for may_register, number in ((True, NUMBER), (True, ANOTHER), (False, "+919876543212")):
        login = counted.login(may_register=may_register)
        SENT.clear()
        await counted.send(login, number)
        commands.append(list(SENT))
    known, unknown, decoy = commands
    assert known == unknown == decoy
    assert [name for name, _ in known] == [
        "find",  # the account of the number
        "find",  # its user
        "find",  # codes that hold
        *["findAndModify"] * 3,  # address, number, all
        *["insert"] * 3,  # challenge, message, event
        "commitTransaction",
    ]


async def test_what_is_stored_of_both_has_one_shape(world: World) -> None:
    login = world.login(may_register=False)
    await world.user(NUMBER)
    for number in (NUMBER, ANOTHER):
        await world.send(login, number)
    known, unknown = await world.challenges()
    assert list(known) == list(unknown)
    assert len(known["data"]) == len(unknown["data"])
    real, decoy = await world.deliveries()
    assert list(real) == list(decoy)
    assert (real["decoy"], decoy["decoy"]) == (False, True)
    for document in (known, real):
        assert NUMBER not in str(document)


async def test_who_is_unknown_gets_no_code_if_nobody_may_register(world: World) -> None:
    """Nor does a code verify that was sent before."""
    await world.send(world.login(), NUMBER)
    (delivery,) = await world.deliveries()
    assert delivery["decoy"] is False
    closed = world.login(may_register=False)
    opened = world._outbox._sealer.open(delivery["sealed"], delivery["_id"], delivery["createdAt"])
    (challenge,) = await world.challenges()
    login = OtpLogin(challenge["_id"], opened.text[:6], "token", Caller())
    with pytest.raises(LoginFailed):
        await closed.verify(login)
    assert await world.documents("users") == []


async def test_a_number_that_gets_no_sms_counts_nothing(world: World) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await world.send(world.login(), "+6581234567")
    assert [each.field for each in caught.value.fields] == ["phoneNumber"]
    assert await world.documents("sms_counts") == []


async def test_each_code_is_an_event(world: World) -> None:
    await world.user(NUMBER)
    for number in (NUMBER, ANOTHER):
        await world.send(world.login(), number)
    events = await world.documents("audit_events")
    found = [(each["action"], each.get("userId")) for each in events]
    assert found == [("otp.sent", "ann"), ("otp.sent", None)]
