"""Categories that are deleted while transactions have them: all sums stay what they were."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import date
from typing import Any

import pytest

from server.core.errors import InvalidRequest
from server.domains.money.categories import service as categories
from server.domains.money.categories.errors import (
    CategoryExists,
    CategoryInUse,
    CategoryNotFound,
)
from server.domains.money.categories.model import NewCategory
from server.domains.money.categories.service import NONE, CategoryService
from server.domains.money.categories.store import CategoryStore
from server.domains.money.errors import LimitReached
from server.domains.money.sealing.service import MoneyKeys
from server.domains.money.transactions.model import Amount, NewPart
from server.storage.data_keys import DataKeyStore
from tests.domains.money.transactions.world import People, World

EVER = (date(1900, 1, 1), date(2100, 1, 1))


def service(world: World, *uses: Any) -> CategoryService:
    keys = MoneyKeys(DataKeyStore(world.database, world.ring))
    people: Any = People()
    return CategoryService(world.worker.money, keys, CategoryStore(world.database), people, uses)


async def sums(world: World) -> Counter[tuple[str | None, str]]:
    found: Counter[tuple[str | None, str]] = Counter()
    for cell in await world.worker.book.cells(world.owner.id, *EVER):
        found[cell.category_id, cell.kind] += cell.units
    return found


async def test_totals_are_the_same_before_during_and_after(world: World) -> None:
    for day in range(1, 29):
        await world.create(f"{day}.00", category_id=world.food, day=date(2026, day % 12 + 1, day))
        await world.create(f"{day}.10", category_id=world.snacks, day=date(2026, 11, day))
    both = (NewPart(Amount("60.00"), world.food), NewPart(Amount("40.00"), world.snacks))
    split = (await world.create(parts=both)).transaction
    before = await sums(world)
    total = sum(before.values())
    stop = asyncio.Event()
    seen: list[int] = []

    async def read() -> None:
        while not stop.is_set():
            seen.append(sum((await sums(world)).values()))

    reader = asyncio.create_task(read())
    await service(world).delete(world.owner, world.snacks, world.food)
    moved = await sums(world)
    assert moved == {(world.food, "expense"): total}
    assert await world.recounted() == []
    for _ in range(3):  # months that are written again, with what stands for the deleted one
        await world.create("5.00", category_id=world.food)
        total -= 500
    other = await service(world).create(world.owner, NewCategory("Other", "expense"))
    await service(world).delete(world.owner, world.food, other.id)
    stop.set()
    await reader
    assert await sums(world) == {(other.id, "expense"): total}
    assert set(seen) <= {total, total + 500, total + 1_000, total + 1_500}
    assert {part.category_id for part in (await world.get(split.id)).transaction.parts} == {
        other.id
    }
    assert len(await world.listed(category_ids=[other.id], limit=100)) == 60
    await service(world).delete(world.owner, other.id, NONE)
    assert await sums(world) == {(None, "expense"): total}
    await world.delete(split.id)
    assert await sums(world) == {(None, "expense"): total + 10_000}
    assert await world.recounted() == []


async def test_a_used_category_is_deleted_only_with_what_takes_its_place(world: World) -> None:
    class Plans:
        async def count(self, *_: Any) -> dict[str, int]:
            return {"budgetItems": 3}

    made = (await world.create(category_id=world.food)).transaction
    for _ in range(2):
        await world.create(category_id=world.food, excluded=True, status="pending")
    with pytest.raises(CategoryInUse) as used:
        await service(world, Plans()).delete(world.owner, world.food)
    assert used.value.metadata == {"transactions": "3", "children": "1", "budgetItems": "3"}
    with pytest.raises(InvalidRequest) as fixed:
        await service(world).update(world.owner, world.food, {"type": "income"})
    assert fixed.value.fields[0].field == "type"
    with pytest.raises(CategoryNotFound):
        await service(world).delete(world.owner, "0" * 24, world.food)
    await service(world).delete(world.owner, world.snacks)  # nothing has it
    await world.delete(*(each.id for each in await world.listed()))
    await service(world).delete(world.owner, world.food)
    restored = await world.worker.deletion.restore(world.owner, made.id)
    assert await world.recounted() == []
    assert restored.transaction.units == made.units


async def test_one_below_may_take_place_and_name_of_one_that_is_deleted(world: World) -> None:
    made = await service(world).create(world.owner, NewCategory("Same", "income"))
    below = await service(world).create(
        world.owner, NewCategory("same", "income", parent_id=made.id)
    )
    await service(world).delete(world.owner, made.id, NONE)
    assert (await service(world).get(world.owner, below.id)).parent_id is None
    other = await service(world).create(world.owner, NewCategory("Other", "income"))
    await service(world).create(world.owner, NewCategory("SAME", "income", parent_id=other.id))
    with pytest.raises(CategoryExists):
        await service(world).delete(world.owner, other.id, NONE)


async def test_there_are_so_many_and_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(categories, "MAX_CATEGORIES", 4)
    monkeypatch.setattr(categories, "MAX_MERGED", 1)
    made = await service(world).create(world.owner, NewCategory("Fourth", "income"))
    with pytest.raises(LimitReached) as caught:
        await service(world).create(world.owner, NewCategory("Fifth", "income"))
    assert caught.value.metadata == {"limit": "4"}
    await service(world).delete(world.owner, made.id, world.wage)
    with pytest.raises(LimitReached):
        await service(world).delete(world.owner, world.snacks, NONE)


async def test_of_two_of_one_name_at_once_one_is_made(world: World) -> None:
    new = NewCategory("Twice", "income")
    made = await asyncio.gather(
        *(service(world).create(world.owner, new) for _ in range(5)), return_exceptions=True
    )
    assert sum(not isinstance(each, Exception) for each in made) == 1
