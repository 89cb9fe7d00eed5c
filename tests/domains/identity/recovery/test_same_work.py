"""Names that somebody has, and names that nobody has: the same work, and no trace of the latter."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pymongo import monitoring

from server.storage import driver
from server.storage.indexes import ensure_indexes
from server.storage.monitoring import Commands
from tests.domains.identity.recovery.world import ANN, NOBODY, World
from tests.mongodb import MongoDb
from tests.storage.databases import INDEXES, settings

SENT: list[str] = []


class Seen(Commands):
    def started(self, event: monitoring.CommandStartedEvent) -> None:
        SENT.append(event.command_name)


@pytest.fixture
async def counted(mongodb: MongoDb, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(driver, "Commands", Seen)
    async with driver.connected(settings(mongodb.uri, "pymongo")) as database:
        await ensure_indexes(database, INDEXES)
        world = World(database)
        yield world
        await world.hashing.stop()
        await database.drop()


async def commands_of_a_reset(world: World, address: str) -> list[str]:
    SENT.clear()
    await world.reset.ask(address)
    return list(SENT)


async def test_a_reset_takes_the_same_commands_for_both(counted: World) -> None:
    await counted.user()
    for _ in range(3):
        known = await commands_of_a_reset(counted, ANN)
        unknown = await commands_of_a_reset(counted, NOBODY)
        assert known == unknown
        assert known == [
            "find",  # the user
            "findAndModify",  # the count
            *["insert"] * 3,  # token, mail, event or what stands in its place
            "commitTransaction",
        ]
    too_many = [await commands_of_a_reset(counted, address) for address in (ANN, NOBODY)]
    assert too_many[0] == too_many[1]
    assert "insert" not in too_many[0]


async def test_a_registration_takes_the_same_commands_for_both(counted: World) -> None:
    await counted.user()
    for number in range(5):  # more than are sent mails
        commands = []
        for address in (ANN, NOBODY):
            SENT.clear()
            await counted.register(f"new_{number}_{address[:3]}", address)
            commands.append(list(SENT))
        assert commands[0] == commands[1]
        assert commands[0].count("insert") == 2  # token, mail


async def test_what_is_stored_of_both_has_one_shape(world: World) -> None:
    await world.user()
    for address in (ANN, NOBODY):
        await world.reset.ask(address)
    real, decoy = await world.deliveries()
    assert sorted([real["decoy"], decoy["decoy"]]) == [False, True]
    assert list(real) == list(decoy)
    found = world.database.collection("challenges").find({})
    tokens = await found.sort("expiresAt", -1).to_list(2)
    assert list(tokens[0]) == list(tokens[1])
    assert len(tokens[0]["data"]) == len(tokens[1]["data"])


async def test_a_flood_of_unknown_names_leaves_the_audit_trail_as_it_is(world: World) -> None:
    await world.user()
    for number in range(30):
        await world.reset.ask(f"nobody_{number}@example.com")
        await world.reset.ask(ANN)
    events = await world.trail.find({}, 1000)
    assert [(each["action"], each["userId"]) for each in events] == [
        ("user.reset_requested", "ann")
    ] * 3
