"""Random changes and syncs of a user, and the same of the plain model, with the transfers that are found."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import chain
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
_TOGETHER = timedelta(days=30)  # new rows of one sync
_MORE = 1_000_000  # units than anything typed has


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
    """The rows of the bank, by key."""

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
        """A sync that brings all rows again, and some new ones."""
        world, posting = self.world, self.world.posting
        new = [self._new_item() for _ in range(self.chance.randrange(1, 4))]
        if max(each.day for each in new) - min(each.day for each in new) > _TOGETHER:
            new = new[:1]
        for each in new:
            key = _name(len(self.statement.items))
            text = f"{each.units // 100}.{each.units % 100:02}"
            direction = "debit" if each.direction == "out" else "credit"
            self.statement.items[key] = row(key, text, direction, each.day)
        async with self._turn:
            posting.items["transactions"] = list(self.statement.items.values())
            await posting.connectors.sync(posting.connector.id)
            await world.worker.post()
        by_text = {each.bank_text: each.id for each in await world.rows()}
        known = len(self.statement.ids)
        for key, each in zip(list(self.statement.items)[known:], new, strict=True):
            identifier = self.statement.ids[key] = by_text[key]
            self.plain.rows[identifier] = each
        self._pair(min(each.day for each in new), max(each.day for each in new))
        self.plain.changes = (await world.view()).rev - self.base

    def _new_item(self) -> Row:
        """A row of the bank: of an amount of its own, or what may be the other leg of something."""
        free = [
            each for each in self.plain.rows.values()
            if _may_be_a_leg(each) and each.account in self.typed and self.currencies[each.account] == "INR"
        ]  # fmt: skip
        if free and self.chance.random() < 0.5:
            other = self.chance.choice(free)
            direction = "in" if other.direction == "out" else "out"
            units, apart = other.units, timedelta(days=self.chance.randrange(-1, 6))
            day = other.day + (apart if direction == "in" else -apart)
        else:
            direction, day = self.chance.choice(["in", "out"]), self._day()
            units = _MORE + len(self.statement.items) + self.chance.randrange(5)
        kind = "expense" if direction == "out" else "income"
        return Row(self.world.linked, kind, direction, units, day, linked=True)

    def _pair(self, since: date, until: date) -> None:
        """The transfers with a leg on these days of which each leg has no other candidate, and one is the
        bank's."""
        rows = self.plain.rows
        free = {each: one for each, one in rows.items() if _may_be_a_leg(one)}
        outs: defaultdict[tuple[str | None, int], list[str]] = defaultdict(list)
        for each, one in free.items():
            if one.direction == "out":
                outs[self.currencies.get(one.account), one.units].append(each)
        pairs = [
            (out, into)
            for into, b in free.items()
            if b.direction == "in"
            for out in outs[self.currencies.get(b.account), b.units]
            if (a := free[out]).account != b.account
            and timedelta(0) <= b.day - a.day <= _APART
            and frozenset((out, into)) not in self.parted
        ]
        uses = Counter(chain.from_iterable(pairs))
        for pair in pairs:
            legs = [free[each] for each in pair]
            if (
                all(uses[each] == 1 for each in pair)
                and any(since <= leg.day <= until for leg in legs)
                and any(leg.linked for leg in legs)
                and all(leg.status != "reconciled" or leg.kind == "transfer" for leg in legs)
            ):
                for each, other in (pair, pair[::-1]):
                    rows[each] = replace(rows[each], kind="transfer", other=other)


def _name(number: int) -> str:
    """A payee of its own, so that no row gets the category of another."""
    return "shop " + "".join("abcdefghij"[int(digit)] for digit in str(number))


def _may_be_a_leg(one: Row) -> bool:
    """Nobody has said what it is."""
    may_be = one.kind in {"expense", "income", "transfer"} and one.status != "pending"
    return may_be and not one.other and not one.parts
