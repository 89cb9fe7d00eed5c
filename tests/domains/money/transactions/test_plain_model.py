"""Random changes by two users and three workers leave what a plain model has: 0 differences."""

from __future__ import annotations

import asyncio
import random

import pytest

from server.domains.money.transactions.shown import Shown
from server.security.ring import KeyRing
from server.storage.driver import Database
from tests.domains.money.transactions.comparing import compare
from tests.domains.money.transactions.player import Player
from tests.domains.money.transactions.world import Worker, World, new_world

ROUNDS, OPERATIONS = 3, 25  # for each of two users; with --full 10,000 operations together


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.full_only) for n in (1, 2))]
)
async def test_random_changes(
    transactions_database: Database, ring: KeyRing, seed: int, pytestconfig: pytest.Config
) -> None:
    operations = 556 if pytestconfig.getoption("full") else OPERATIONS
    players = []
    for number in range(2):
        world = await new_world(transactions_database, ring)
        workers = [Worker(world.database, world.ring, world.clock) for _ in range(3)]
        player = Player(world, random.Random(f"{seed} {number}"), workers)  # noqa: S311
        player.base = (await world.view()).rev
        players.append(player)
    for _ in range(ROUNDS):
        await asyncio.gather(*(player.play(operations) for player in players))
        for player in players:
            await compare(player)


async def test_changes_of_one_user_by_three_workers_follow_each_other(world: World) -> None:
    before = (await world.view()).rev
    workers = [Worker(world.database, world.ring, world.clock) for _ in range(3)]

    async def create(worker: Worker, number: int) -> Shown:
        return await worker.service.create(world.owner, world.new(f"{number + 1}.00"))

    made = await asyncio.gather(*(create(workers[number % 3], number) for number in range(30)))
    revisions = [each.transaction.rev for each in made]
    assert sorted(revisions) == list(range(before + 1, before + 31))
    assert await world.balance(world.bank) == 100_000 - 100 * 30 * 31 // 2
    assert await world.recounted() == []
