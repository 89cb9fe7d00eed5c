"""Random changes by hand, in bulk and by syncs leave what a plain model has: 0 differences."""

from __future__ import annotations

import asyncio
import random

import pytest

from server.storage.driver import Database
from tests.domains.money.posting.syncing import SyncedPlayer, synced_world
from tests.domains.money.posting.world import Worker
from tests.domains.money.transactions.comparing import compare
from tests.storage.databases import emptied

ROUNDS, OPERATIONS = 2, 12  # for each of two users; with --full 10,000 operations together
FULL_ROUNDS, FULL_OPERATIONS = 50, 100


async def test_random_changes_and_syncs(
    posting_database: Database, pytestconfig: pytest.Config
) -> None:
    database = await emptied(posting_database)
    rounds, operations = ROUNDS, OPERATIONS
    if pytestconfig.getoption("full"):
        rounds, operations = FULL_ROUNDS, FULL_OPERATIONS
    turn, players = asyncio.Lock(), []
    for number in range(2):
        synced = await synced_world(database)
        workers = [synced.posting.worker, *(Worker(synced.posting.connectors) for _ in range(2))]
        player = SyncedPlayer(synced, random.Random(f"synced {number}"), workers, turn)  # noqa: S311
        await player.start()
        players.append(player)
    for _ in range(rounds):
        await asyncio.gather(*(player.play(operations) for player in players))
        for player in players:
            await compare(player)
