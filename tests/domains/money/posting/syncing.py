"""Random changes and syncs of a user, and the same of the plain model, with the transfers that are found."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import product
from types import SimpleNamespace
from typing import Any

from server.domains.money.accounts.model import Given, NewAccount
from server.domains.money.categories.model import NewCategory
from server.domains.money.ledger.model import LedgerView, MoneyOwner
from server.domains.money.transactions.model import (
    Amount,
    NewTransaction,
    Transaction,
    TransactionChanges,
    Update,
)
from server.platforms.records import Item
from server.storage.driver import Database
from tests.domains.money.posting.world import PostingWorld, Worker, row
from tests.domains.money.transactions.plain import Row
from tests.domains.money.transactions.player import Player

_APART = timedelta(days=4)  # the longest from outflow to inflow
_MORE = 1_000_000  # units than anything typed has, so that no row takes over what was typed


@dataclass
class SyncedWorld:
    """What a player needs of a user whose bank is linked."""

    posting: PostingWorld
    owner: MoneyOwner
    bank: str = ""
    card: str = ""
    euro: str = ""
    linked: str = ""  # the account of the bank's rows
    food: str = ""
    snacks: str = ""
    wage: str = ""
    worker: Any = None

    def new(self, value: str = "100.00", kind: Any = "expense", **others: Any) -> NewTransaction:
        return NewTransaction(
            kind=kind, amount=Amount(value), **{"account_id": self.bank, **others}
        )

    async def create(self, value: str, kind: Any = "expense", **others: Any) -> Any:
        return await self.worker.service.create(self.owner, self.new(value, kind, **others))

    async def update(self, identifier: str, *, unlock: bool = False, **changes: Any) -> Any:
        update = Update(id=identifier, changes=TransactionChanges(**changes), unlock=unlock)
        return await self.worker.service.update(self.owner, update)

    async def delete(self, *ids: str, **options: Any) -> None:
        await self.worker.deletion.delete(self.owner, ids, **options)

    async def rows(self) -> list[Transaction]:
        return await self.posting.all()

    async def view(self) -> LedgerView:
        return await self.posting.worker.book.view(self.owner.id, date(1, 1, 1), date(9999, 12, 31))

    async def recounted(self) -> list[str]:
        return await self.posting.recounted()


async def synced_world(database: Database) -> SyncedWorld:
    posting = await PostingWorld(database).start()
    # Syncs run when they are asked for, also where this takes minutes.
    await posting.connectors.change(posting.connector.id, {"sync.auto": False})
    world = SyncedWorld(posting, posting.owner)
    worker, owner = posting.worker, posting.owner
    await worker.changes.start(owner)
    for name, currency, opening in (
        ("bank", "INR", "1000"),
        ("card", "INR", "0"),
        ("euro", "EUR", "0"),
    ):
        new = NewAccount(name, "bank", currency, Given(opening))
        setattr(world, name, (await worker.accounts.create(owner, new)).id)
    world.food = (await worker.categories.create(owner, NewCategory("Food", "expense"))).id
    snacks = NewCategory("Snacks", "expense", world.food)
    world.snacks = (await worker.categories.create(owner, snacks)).id
    world.wage = (await worker.categories.create(owner, NewCategory("Wage", "income"))).id
    return world


@dataclass
class Statement:
    """The rows of the bank, by key; each has an amount of its own."""

    items: dict[str, Item] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)  # of the transactions


class SyncedPlayer(Player):
    """`turn` is held while a bank is synced: whoever posts takes all that is due, of all users."""

    def __init__(
        self, world: SyncedWorld, chance: random.Random, workers: Sequence[Worker], turn: asyncio.Lock
    ) -> None:  # fmt: skip
        shown = [
            SimpleNamespace(
                service=each.transactions.service,
                deletion=each.transactions.deletion,
                matching=each.transactions.matching,
                post=each.post,
            )
            for each in workers
        ]
        world.worker = shown[0]
        super().__init__(world, chance, shown)
        self.statement = Statement()
        self.parted: set[frozenset[str]] = set()
        self._turn = turn

    async def start(self) -> None:
        """The first row makes the account."""
        await self.sync()
        world = self.world
        world.linked = (await world.posting.account()).id
        self.openings[world.linked] = 0
        self.currencies[world.linked] = "INR"
        for each, one in self.plain.rows.items():
            self.plain.rows[each] = replace(one, account=world.linked)

    def ways(self) -> Sequence[Callable[[], Awaitable[None]]]:
        return [*super().ways(), self.sync]

    async def unmatch(self) -> None:
        before = dict(self.plain.rows)
        await super().unmatch()
        self.parted |= {
            frozenset((each, one.other))
            for each, one in before.items()
            if one.other and self.plain.rows[each].other is None
        }

    async def sync(self) -> None:
        """A sync that brings all rows again, and some new ones of one day."""
        world, day = self.world, self._day()
        count = len(self.statement.items)
        for number in range(count, count + self.chance.randrange(1, 4)):
            direction = self.chance.choice(["debit", "credit"])
            units = _MORE + number
            item = row(f"row {number}", f"{units // 100}.{units % 100:02}", direction, day)
            self.statement.items[f"row {number}"] = item
        posting: PostingWorld = world.posting
        async with self._turn:
            posting.items["transactions"] = list(self.statement.items.values())
            await posting.connectors.sync(posting.connector.id)
            await world.worker.post()
        by_text = {each.bank_text: each.id for each in await world.rows()}
        for key, item in self.statement.items.items():
            if key not in self.statement.ids:
                identifier = self.statement.ids[key] = by_text[key]
                self.plain.rows[identifier] = self._row_of(item)
        self._pair(day)
        self.plain.changes = (await world.view()).rev - self.base

    def _row_of(self, item: Item) -> Row:
        record: Any = item.record
        kind, direction = ("expense", "out") if record.direction == "debit" else ("income", "in")
        units = int(record.amount.value * 100)
        return Row(self.world.linked, kind, direction, units, record.date, linked=True)

    def _pair(self, day: date) -> None:
        """The transfers with a leg of a day of which each leg has no other candidate."""
        rows = self.plain.rows
        free = {each: one for each, one in rows.items() if _may_be_a_leg(one)}
        outs = {each for each, one in free.items() if one.direction == "out"}
        pairs = [
            (out, into)
            for out, into in product(outs, free.keys() - outs)
            if (a := free[out]).units == (b := free[into]).units
            and a.account != b.account
            and self.currencies[a.account] == self.currencies[b.account]
            and timedelta(0) <= b.day - a.day <= _APART
            and frozenset((out, into)) not in self.parted
        ]
        for pair in pairs:
            if day in {free[each].day for each in pair} and all(
                sum(each in other for other in pairs) == 1 for each in pair
            ):
                for each, other in (pair, pair[::-1]):
                    rows[each] = replace(rows[each], kind="transfer", other=other)


def _may_be_a_leg(one: Row) -> bool:
    """Nobody has said what it is, and no statement has shown it as something else."""
    if one.kind not in {"expense", "income", "transfer"} or one.status == "pending" or one.other:
        return False
    return not one.parts and (one.status != "reconciled" or one.kind == "transfer")
