"""Posters that are killed with rows in flight: none is lost, none is there twice."""

from __future__ import annotations

import asyncio
import random
import sys
from datetime import date, timedelta

import pytest

from tests.domains.money.posting.world import PostingWorld, row
from tests.mongodb import MongoDb

SHORT = (4, 1_500)
LONG = pytest.param(20, 4_000, marks=pytest.mark.full_only)


@pytest.mark.parametrize(("kills", "rows"), [SHORT, LONG])
async def test_a_poster_that_is_killed_again_and_again(
    world: PostingWorld, mongodb: MongoDb, kills: int, rows: int
) -> None:
    chance = random.Random(7)  # noqa: S311 - to be repeated
    items = [
        row(
            str(number),
            f"{chance.randrange(1, 90_000)}.{chance.randrange(100):02}",
            chance.choice(["debit", "credit"]),
            date(2026, 1, 1) + timedelta(days=chance.randrange(300)),
            bank=chance.choice(["One", "Two", "Three"]),
        )
        for number in range(rows)
    ]
    world.items["transactions"] = items
    await world.connectors.sync(world.connector.id)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.domains.money.posting.killed",
        mongodb.uri, world.database._database.name, str(kills),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0
    assert int(output) == kills
    expected = sorted(
        int(item.record.amount.value * 100) * (1 if item.record.direction == "credit" else -1)  # type: ignore[union-attr]
        for item in items
    )
    assert sorted(await world.signed()) == expected
    assert await world.origins() == rows
    accounts = await world.accounts()
    assert sum(each.balance.units for each in accounts.values()) == sum(expected)
    assert await world.recounted() == []
    await world.sync(items)
    await world.post_again()
    assert len(await world.all()) == await world.origins() == rows
