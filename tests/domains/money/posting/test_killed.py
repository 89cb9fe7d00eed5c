"""Posters that are killed with rows in flight: none is lost, none is there twice."""

from __future__ import annotations

import asyncio
import random
import sys
from datetime import date, timedelta

from tests.domains.money.posting.world import PostingWorld, row
from tests.mongodb import MongoDb

KILLS = 20
ROWS = 4_000


async def test_a_poster_that_is_killed_again_and_again(
    world: PostingWorld, mongodb: MongoDb
) -> None:
    chance = random.Random(7)  # noqa: S311 - to be repeated
    rows = [
        row(
            str(number),
            f"{chance.randrange(1, 90_000)}.{chance.randrange(100):02}",
            chance.choice(["debit", "credit"]),
            date(2026, 1, 1) + timedelta(days=chance.randrange(300)),
            bank=chance.choice(["One", "Two", "Three"]),
        )
        for number in range(ROWS)
    ]
    world.items["transactions"] = rows
    await world.connectors.sync(world.connector.id)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.domains.money.posting.killed",
        mongodb.uri, world.database._database.name, str(KILLS),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0
    assert int(output) == KILLS
    expected = sorted(
        int(item.record.amount.value * 100) * (1 if item.record.direction == "credit" else -1)  # type: ignore[union-attr]
        for item in rows
    )
    assert sorted(await world.signed()) == expected
    assert await world.origins() == ROWS
    accounts = await world.accounts()
    assert sum(each.balance.units for each in accounts.values()) == sum(expected)
    assert await world.recounted() == []
    await world.sync(rows)
    await world.post_again()
    assert len(await world.all()) == await world.origins() == ROWS
