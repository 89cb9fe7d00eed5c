"""Random changes of a user's transactions, and the same of the plain model."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from server.core import money
from server.core.errors import ApiError
from server.domains.money.transactions.model import Amount, NewPart, TransactionChanges, Update
from tests.domains.money.transactions.plain import Plain, Row

FIRST, DAYS = date(2026, 7, 1), 120


class Player:
    """Makes random changes of one user's transactions, and the same of the plain model."""

    def __init__(self, world: Any, chance: random.Random, workers: Sequence[Any] = ()) -> None:
        self.world = world
        self.workers = workers or [world.worker]
        self.chance = chance
        self.plain = Plain()
        self.openings = {world.bank: 100_000, world.card: 0, world.euro: 0}
        self.currencies = {world.bank: "INR", world.card: "INR", world.euro: "EUR"}
        self.typed = list(self.openings)  # the accounts that something is typed into
        self.base = 0  # the ledger's revision before the first change

    def ways(self) -> Sequence[Callable[[], Awaitable[None]]]:
        return [self.create, self.create, self.create_many, self.transfer, self.edit, self.edit,
                self.edit_many, self.delete, self.restore, self.match, self.unmatch]  # fmt: skip

    async def play(self, count: int) -> None:
        """Each operation by any of the workers."""
        ways = self.ways()
        for _ in range(count):
            self.world.worker = self.chance.choice(self.workers)
            await self.chance.choice(ways)()

    def _text(self, units: int, account: str) -> str:
        return money.text(units, self.currencies[account])

    def _new_row(self) -> Row:
        chance, world = self.chance, self.world
        kind = chance.choice(["expense", "expense", "income", "refund", "adjustment", "transfer"])
        account = chance.choice(self.typed)
        units = chance.randrange(50, 5_000)
        fixed = {"expense": "out", "income": "in", "refund": "in"}
        direction = fixed.get(kind) or chance.choice(["in", "out"])
        fitting = [world.wage] if kind == "income" else [world.food, world.snacks]
        parts: tuple[tuple[str | None, int], ...] = ()
        if kind in fixed and chance.random() < 0.7:
            parts = ((chance.choice(fitting), units),)
            if chance.random() < 0.3:
                parts = (
                    (chance.choice(fitting), 20),
                    (None, 5),
                    (chance.choice(fitting), units - 25),
                )
        status = chance.choice(["posted", "posted", "pending", "reconciled"])
        return Row(
            account, kind, direction, units, self._day(), status, chance.random() < 0.1, parts
        )

    def _day(self) -> date:
        return FIRST + timedelta(days=self.chance.randrange(DAYS))

    def _given(self, row: Row) -> dict[str, Any]:
        given: dict[str, Any] = {
            "account_id": row.account, "kind": row.kind, "direction": row.direction, "day": row.day,
            "value": self._text(row.units, row.account), "status": row.status, "excluded": row.excluded,
        }  # fmt: skip
        if len(row.parts) > 1:
            given["parts"] = tuple(
                NewPart(Amount(self._text(units, row.account)), category)
                for category, units in row.parts
            )
        elif row.parts:
            given["category_id"] = row.parts[0][0]
        return given

    async def create(self) -> None:
        row = self._new_row()
        made = await self.world.create(**self._given(row))
        self.plain.rows[made.transaction.id] = row
        self.plain.changes += 1

    async def create_many(self) -> None:
        rows = [self._new_row() for _ in range(self.chance.randrange(1, 8))]
        new = [self.world.new(**self._given(row)) for row in rows]
        atomic = self.chance.random() < 0.5
        if not atomic:
            new.insert(1, self.world.new("0.00"))
        made = await self.world.worker.service.create_many(self.world.owner, new, atomic=atomic)
        ids = [each.transaction.id for each in made.transactions] or [
            (made.ids or {})[each] for each in sorted(made.ids or {})
        ]
        self.plain.rows |= dict(zip(ids, rows, strict=True))
        self.plain.changes += 1

    async def transfer(self) -> None:
        source, target = self.chance.sample(self.typed, 2)
        units, arrived = self.chance.randrange(50, 5_000), self.chance.randrange(50, 5_000)
        if self.currencies[source] == self.currencies[target]:
            arrived = units
        out = Row(source, "transfer", "out", units, self._day())
        made = await self.world.create(
            self._text(units, source), "transfer", account_id=source, day=out.day, to_account_id=target,
            to_amount=Amount(self._text(arrived, target)), to_day=out.day + timedelta(days=1),
        )  # fmt: skip
        leg, other = made.transaction, made.other
        assert other is not None
        self.plain.rows[leg.id] = replace(out, other=other.id)
        self.plain.rows[other.id] = Row(
            target, "transfer", "in", arrived, out.day + timedelta(days=1), other=leg.id
        )
        self.plain.changes += 1

    def _edited(  # noqa: PLR0911 - a return for each kind of change
        self, identifier: str, *, unlock: bool
    ) -> tuple[dict[str, Any], dict[str, Row]] | None:
        """A change, and the rows after it; None for the rows if it must be refused."""
        row = self.plain.rows[identifier]
        what = self.chance.choice(["day", "amount", "status", "excluded", "kind", "category"])
        locked = row.status == "reconciled" and not unlock
        if what == "day":
            after = replace(row, day=self._day())
            refused = locked and after.day != row.day
            return {"day": after.day}, {} if refused else {identifier: after}
        if what == "status":
            after = replace(row, status=self.chance.choice(["pending", "posted", "reconciled"]))
            return {"status": after.status}, {identifier: after}
        if what == "excluded":
            return {"excluded": not row.excluded}, {
                identifier: replace(row, excluded=not row.excluded)
            }
        if what == "amount" and len(row.parts) < 2:
            units = row.units + 1
            changes = {"amount": Amount(self._text(units, row.account))}
            locked = locked or row.linked
            after = replace(row, units=units, parts=tuple((each, units) for each, _ in row.parts))
            found = {identifier: after}
            other = self.plain.rows.get(row.other or "")
            if other and self.currencies[other.account] == self.currencies[row.account]:
                found[row.other or ""] = replace(other, units=units)
                locked = locked or other.linked or (other.status == "reconciled" and not unlock)
            return changes, {} if locked else found
        if what == "category" and row.kind in {"income", "refund", "expense"}:
            food = self.chance.choice([self.world.food, self.world.snacks])
            kind = "expense" if row.direction == "out" else "refund"
            after = replace(row, kind=kind, parts=((food, row.units),))
            return {"category_id": food}, {} if locked and kind != row.kind else {identifier: after}
        if what == "kind" and row.kind == "transfer":
            kind = "income" if row.direction == "in" else "expense"
            found = {identifier: replace(row, kind=kind, other=None)}
            if row.other:
                found[row.other] = replace(self.plain.rows[row.other], other=None)
            return {"kind": kind}, {} if locked else found
        return None

    async def edit(self) -> None:
        if not self.plain.rows:
            return
        identifier = self.chance.choice(list(self.plain.rows))
        unlock = self.chance.random() < 0.5
        if (edited := self._edited(identifier, unlock=unlock)) is None:
            return
        changes, after = edited
        refused = False
        try:
            await self.world.update(identifier, unlock=unlock, **changes)
        except ApiError:
            refused = True
        assert refused != bool(after), changes
        if not refused:
            self.plain.rows |= after
            self.plain.changes += 1

    async def edit_many(self) -> None:
        count = min(5, len(self.plain.rows))
        ids = self.chance.sample(list(self.plain.rows), count)
        day, unlock = self._day(), self.chance.random() < 0.7
        updates = [
            Update(id=each, changes=TransactionChanges(day=day), unlock=unlock) for each in ids
        ]
        rows = self.plain.rows
        locked = any(rows[each].status == "reconciled" and rows[each].day != day for each in ids)
        try:
            await self.world.worker.service.update_many(self.world.owner, updates, "updates")
        except ApiError:
            assert locked
            assert not unlock
            return
        assert unlock or not locked
        rows |= {each: replace(rows[each], day=day) for each in ids}
        self.plain.changes += 1

    async def delete(self) -> None:
        rows = self.plain.rows
        ids = self.chance.sample(list(rows), min(self.chance.choice([1, 1, 4]), len(rows)))
        unlock = self.chance.random() < 0.7
        gone, parted = self._gone(ids)
        locked = any(rows[each].status == "reconciled" for each in gone)
        try:
            await self.world.delete(*ids, unlock=unlock, place="ids")
        except ApiError:
            assert locked
            assert not unlock
            return
        assert unlock or not locked
        for each in gone:
            self.plain.deleted[each] = rows.pop(each)
        for each in parted:
            rows[each] = replace(rows[each], other=None)
        self.plain.changes += 1

    def _gone(self, ids: Sequence[str]) -> tuple[list[str], list[str]]:
        """What goes with these, and the legs that stay alone: a bank reported them."""
        gone: dict[str, None] = {}
        parted: dict[str, None] = {}
        for each in ids:
            if each in gone:
                continue
            gone[each] = None
            other = self.plain.rows[each].other
            if other is None or each in parted:
                continue
            if self.plain.rows[other].linked:
                parted[other] = None
            else:
                gone[other] = None
        return list(gone), [each for each in parted if each not in gone]

    async def restore(self) -> None:
        deleted = self.plain.deleted
        # A leg whose other one has stayed, or went later, comes back alone or not: `test_editing` has that.
        whole = [
            each
            for each, row in deleted.items()
            if row.other is None or (row.other in deleted and deleted[row.other].other == each)
        ]
        if not whole:
            return
        identifier = self.chance.choice(whole)
        await self.world.worker.deletion.restore(self.world.owner, identifier)
        row = deleted.pop(identifier)
        self.plain.rows[identifier] = row
        if row.other:
            self.plain.rows[row.other] = deleted.pop(row.other)
        self.plain.changes += 1

    async def match(self) -> None:
        rows = self.plain.rows
        outs = [each for each, row in rows.items() if row.direction == "out" and not row.other]
        if not outs:
            return
        one = self.chance.choice(outs)
        out, currency = rows[one], self.currencies[rows[one].account]
        twos = [
            each for each, row in rows.items()
            if row.direction == "in" and not row.other and row.account != out.account
            and (self.currencies[row.account] != currency or row.units == out.units)
        ]  # fmt: skip
        if not twos:
            return
        pair = (one, self.chance.choice(twos))
        await self.world.worker.matching.match(self.world.owner, *pair, unlock=True)
        for each, other in (pair, pair[::-1]):
            rows[each] = replace(rows[each], kind="transfer", parts=(), other=other)
        self.plain.changes += 1

    async def unmatch(self) -> None:
        legs = [each for each, row in self.plain.rows.items() if row.other]
        if not legs:
            return
        one = self.chance.choice(legs)
        two = self.plain.rows[one].other or ""
        await self.world.worker.matching.unmatch(self.world.owner, one)
        for each in (one, two):
            self.plain.rows[each] = replace(self.plain.rows[each], other=None)
        self.plain.changes += 1
